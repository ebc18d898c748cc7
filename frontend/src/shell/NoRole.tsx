import type { Viewer } from "../live/session";
import { EmptyNotice } from "../ui/notices";
import { useTitle } from "../ui/title";
import { nameOf } from "./Account";

/** What somebody sees who is signed in and may see nothing: an empty list would not say why it is. */
export function NoRole({ identity }: { identity: NonNullable<Viewer["identity"]> }) {
  useTitle("No role");
  return (
    <main>
      <EmptyNotice title={`You are signed in as ${nameOf(identity)}, but have no role in any project`}>
        Ask whoever runs this server for one, and sign in again.
      </EmptyNotice>
    </main>
  );
}
