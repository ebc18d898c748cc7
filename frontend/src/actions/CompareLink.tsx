import { Link } from "@tanstack/react-router";
import type { ActionIdentifierInput } from "../gql/graphql";
import { printSide } from "../live/sides";

/** Opens the comparison of an action with the one of that name in the run before. */
export function CompareLink({ id: { project, domain, runName, name } }: { id: ActionIdentifierInput }) {
  return (
    <Link
      to="/compare"
      search={{ b: printSide({ project, domain, name: runName, action: name }), with: "previous" }}
      className="link small"
      title="Compare with the action of that name in the previous run"
    >
      Compare
    </Link>
  );
}
