import { Link } from "@tanstack/react-router";
import { type RunName, runParams } from "../live/paths";
import { CutMiddle } from "../ui/CutMiddle";

/** A link to a run's page. */
export function RunLink({ run }: { run: RunName }) {
  return (
    <Link to="/runs/$project/$domain/$name" params={runParams(run)} className="link">
      <CutMiddle text={run.name} />
    </Link>
  );
}
