import type { TaskGridQuery } from "../gql/graphql";
import { hasFailed } from "../actions/failures";
import { type FailureHistory, type TaskRun, failureHistory, hasSucceeded } from "../history/failureHistory";

export type GridRun = TaskGridQuery["runGrid"]["runs"][number];
export type GridRow = TaskGridQuery["runGrid"]["rows"][number];
export type GridCell = GridRow["cells"][number];

/** A grid with the runs in the order in which they are shown: the oldest first. */
export interface Grid {
  runs: readonly GridRun[];
  rows: readonly Row[];
  isComplete: boolean;
}

/** A row with a place for each run; null where the run has no such action. */
export interface Row {
  key: string;
  kind: GridRow["kind"];
  name: string;
  depth: number;
  cells: readonly (GridCell | null)[];
  /** Since when it fails, if it did the last time that it ended. */
  failure: StepFailure | null;
}

export interface StepFailure {
  cell: GridCell;
  /** The place of the run among those shown. */
  column: number;
  history: FailureHistory<StepRun>;
  /** Whether it ended in other runs too. */
  hasOthers: boolean;
}

interface StepRun extends TaskRun {
  column: number;
}

/** The grid of an answer. */
export function gridOf({ runs: newestFirst, rows, isComplete }: TaskGridQuery["runGrid"]): Grid {
  const runs = [...newestFirst].reverse();
  const seen = new Map<string, number>();
  return {
    runs,
    isComplete,
    rows: rows.map(({ kind, name, depth, cells: known }) => {
      const cells = new Array<GridCell | null>(runs.length).fill(null);
      for (const cell of known) cells[runs.length - 1 - cell.run] = cell;
      // Groups below different parents may have the same name.
      const same = `${kind}\n${depth}\n${name}`;
      const number = seen.get(same) ?? 0;
      seen.set(same, number + 1);
      return { key: `${same}\n${number}`, kind, name, depth, cells, failure: stepFailure(runs, cells) };
    }),
  };
}

/** Since when a step fails, by the runs in which it ended; null if it did not fail the last time. */
function stepFailure(runs: readonly GridRun[], cells: readonly (GridCell | null)[]): StepFailure | null {
  const ended = runs
    .flatMap((run, column): StepRun[] => {
      const cell = cells[column];
      return cell && (hasFailed(cell.phase) || hasSucceeded(cell.phase))
        ? [{ ...run, column, phase: cell.phase, error: cell.error }]
        : [];
    })
    .reverse();
  const [newest, ...earlier] = ended;
  const cell = newest ? cells[newest.column] : null;
  if (!newest || !cell || !hasFailed(newest.phase)) return null;
  return {
    cell,
    column: newest.column,
    history: failureHistory(newest, earlier),
    hasOthers: earlier.length > 0,
  };
}

/** A row that fails, and no row below it that does. */
export interface FailingRow extends Row {
  failure: StepFailure;
}

/** The rows that failed in the newest runs without a failed one below them: what is above failed because of them. */
export function failingRows(rows: readonly Row[]): FailingRow[] {
  const found: FailingRow[] = [];
  let below = -1;
  for (const row of [...rows].reverse()) {
    const isAbove = row.depth < below;
    if (row.failure && !isAbove) {
      found.push({ ...row, failure: row.failure });
      below = row.depth;
    } else if (isAbove) {
      below = row.depth;
    } else {
      below = Math.min(below, row.depth);
    }
  }
  return found.reverse().filter(({ depth }) => depth > 0);
}

/** The columns at which the version of the task differs from that of the run before, with the new version. */
export function versionChanges(runs: readonly GridRun[]): { column: number; version: string }[] {
  const changes: { column: number; version: string }[] = [];
  let known: string | undefined;
  runs.forEach((run, column) => {
    const version = run.task?.version;
    if (version === undefined) return;
    if (version !== known) changes.push({ column, version });
    known = version;
  });
  return changes;
}

/** The top of the scale of durations: an outlier does not flatten all others. */
export function scaleOf(
  runs: readonly { durationMs?: number | null | undefined }[],
  p95: number | null,
): number {
  const longest = Math.max(1, ...runs.map(({ durationMs }) => durationMs ?? 0));
  return p95 ? Math.min(longest, p95 * 3) : longest;
}
