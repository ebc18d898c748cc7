import { Link, useNavigate } from "@tanstack/react-router";
import { type FragmentType, graphql, readFragment } from "../gql";
import type { HistoryRunFragment } from "../gql/graphql";
import { runParams } from "../live/paths";
import { useNow } from "../ui/clock";
import { formatDuration } from "../ui/durations";
import { useHotkeys } from "../ui/hotkeys";
import { hasEnded, phaseStyle } from "../ui/phases";
import { runsBefore } from "./failureHistory";
import classes from "./RunNeighbours.module.css";
import { comparison, usualOf } from "./usual";
import { taskLink, taskOf, titleOf } from "./task";
import { useNeighbours } from "./useNeighbours";

const RunNeighboursFragment = graphql(`
  fragment RunNeighbours on Run {
    id
    project
    domain
    name
    phase
    cursor
    functionName
    task {
      name
      version
    }
    createdAt
    durationMs
  }
`);

/** The runs of the same task before and after a run, and how its duration compares with theirs. */
export function RunNeighbours({ run: masked }: { run: FragmentType<typeof RunNeighboursFragment> }) {
  const run = readFragment(RunNeighboursFragment, masked);
  const found = useNeighbours(run);
  const navigate = useNavigate();
  const [previous, next] = [found?.earlier[0] ?? null, found?.next ?? null];
  const open = (other: HistoryRunFragment | null): void => {
    if (other) void navigate({ to: "/runs/$project/$domain/$name", params: runParams(other) });
  };
  useHotkeys([
    { keys: "[", what: "Previous run of the task", run: () => open(previous) },
    { keys: "]", what: "Next run of the task", run: () => open(next) },
  ]);
  const ticks = !hasEnded(run.phase);
  const now = useNow(ticks);
  if (!found) return null;
  const usual = usualOf(found.earlier);
  const lasted = run.durationMs ?? (ticks ? now - Date.parse(run.createdAt) : null);
  const task = taskOf(run);
  return (
    <nav className={`${classes.line} small`} aria-label="Other runs of this task" data-neighbours>
      {previous ? (
        <span className={classes.step}>
          <Link
            to="/runs/$project/$domain/$name"
            params={runParams(previous)}
            className="link"
            title={`${previous.name}: press [`}
          >
            ‹ Previous
          </Link>
          <span className="faint">{describe(previous, run, "before")}</span>
        </span>
      ) : (
        <span className="faint">First run of {titleOf(task)}</span>
      )}
      {next ? (
        <span className={classes.step}>
          <Link
            to="/runs/$project/$domain/$name"
            params={runParams(next)}
            className="link"
            title={`${next.name}: press ]`}
          >
            Next ›
          </Link>
          <span className="faint">{describe(next, run, "after")}</span>
        </span>
      ) : (
        <span className="faint">Newest run</span>
      )}
      {usual && lasted !== null ? (
        <Comparison lasted={lasted} usual={usual} isOver={!ticks} known={found.earlier.length} />
      ) : null}
      <Link {...taskLink(task)} className="link">
        All runs side by side
      </Link>
    </nav>
  );
}

/** `12 h before: succeeded in 3 m` */
function describe(other: HistoryRunFragment, run: { createdAt: string }, where: "before" | "after"): string {
  const apart = formatDuration(Math.abs(Date.parse(run.createdAt) - Date.parse(other.createdAt)));
  const label = phaseStyle(other.phase).label.toLowerCase();
  const took =
    other.durationMs == null
      ? ""
      : ` ${hasFailedLike(label) ? "after" : "in"} ${formatDuration(other.durationMs)}`;
  return `${apart} ${where}: ${label}${took}`;
}

const hasFailedLike = (label: string): boolean => label !== "succeeded";

interface ComparisonProps {
  lasted: number;
  usual: { count: number; p50: number; p95: number };
  isOver: boolean;
  known: number;
}

function Comparison({ lasted, usual, isOver, known }: ComparisonProps) {
  const { count, p50, p95 } = usual;
  const times = comparison(lasted, usual);
  const isSlow = lasted > p95;
  const title = `From creation to end: median (p50) ${formatDuration(p50)}, p95 ${formatDuration(p95)} of the ${count} that succeeded among ${runsBefore(known)}`;
  // A run in progress may still become as long as usual.
  if (!isOver && !isSlow) {
    return (
      <span className="faint" title={title}>
        usually {formatDuration(p50)}
      </span>
    );
  }
  return (
    <span className={isSlow ? classes.slow : "faint"} title={title} data-usual>
      {times
        ? `${isOver ? "took" : "already"} ${times} the usual ${formatDuration(p50)}`
        : `as long as usual (${formatDuration(p50)})`}
      {isSlow ? `, longer than 95 % of runs (${formatDuration(p95)})` : null}
    </span>
  );
}
