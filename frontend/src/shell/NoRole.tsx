import { type Identity, nameOf } from "../live/session";
import { EmptyNotice } from "../ui/notices";
import { useTitle } from "../ui/title";

/** Shown to a caller without any role: an empty list would not explain itself. */
export function NoRole({ identity }: { identity: Identity }) {
  useTitle("No role");
  return (
    <main>
      <EmptyNotice title={`You are signed in as ${nameOf(identity)}, but have no role in any project`}>
        Ask the administrator of this server for a role, then sign in again.
      </EmptyNotice>
    </main>
  );
}
