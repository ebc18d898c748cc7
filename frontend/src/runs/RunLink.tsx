import { Link } from "@tanstack/react-router";
import { type RunName, runParams } from "../live/paths";
import { CutMiddle } from "../ui/CutMiddle";

/** The name of a run, which leads to its page. */
export function RunLink({ run }: { run: RunName }) {
  return (
    <Link to="/runs/$project/$domain/$name" params={runParams(run)} className="link">
      <CutMiddle text={run.name} />
    </Link>
  );
}
