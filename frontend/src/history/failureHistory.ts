import { type ShownError, hasFailed, kindOf } from "../actions/failures";

/** A run of the same task, or what it did in one step. */
export interface TaskRun {
  project: string;
  domain: string;
  name: string;
  phase: string;
  createdAt: string;
  task?: { version: string } | null | undefined;
  error?: ShownError | null | undefined;
}

/** Since when runs of a task fail, or a step of them. */
export interface FailureHistory<Run extends TaskRun = TaskRun> {
  /** The first of the failed runs in a row; the run itself if the one before succeeded. */
  first: Run;
  /** How many failed in a row, this one included. */
  count: number;
  /** The last one that succeeded before; null if none of the known ones did. */
  before: Run | null;
  /** How many succeeded in a row until then. */
  successes: number;
  /** The versions of the task, if it changed when the failures began. */
  versions: { from: string; to: string } | null;
  /** The latest failed run of the row that has another error. */
  other: Run | null;
  /** The latest run before the row that failed with the same error. */
  same: Run | null;
}

const SUCCEEDED = ["SUCCEEDED", "RECOVERED"];

export const hasSucceeded = (phase: string): boolean => SUCCEEDED.includes(phase);

/** The history of a failed run, from the runs before it, newest first. Those that were aborted or skipped do not count. */
export function failureHistory<Run extends TaskRun>(run: Run, earlier: readonly Run[]): FailureHistory<Run> {
  const ended = earlier.filter(({ phase }) => hasFailed(phase) || hasSucceeded(phase));
  const end = ended.findIndex(({ phase }) => hasSucceeded(phase));
  const failed = end < 0 ? ended : ended.slice(0, end);
  const rest = end < 0 ? [] : ended.slice(end);
  const first = failed.at(-1) ?? run;
  const before = rest[0] ?? null;
  const next = rest.findIndex(({ phase }) => !hasSucceeded(phase));
  const kind = kindOf(run.error);
  const [from, to] = [before?.task?.version, first.task?.version];
  return {
    first,
    count: failed.length + 1,
    before,
    successes: next < 0 ? rest.length : next,
    versions: from !== undefined && to !== undefined && from !== to ? { from, to } : null,
    other: failed.find(({ error }) => kindOf(error) !== kind) ?? null,
    same: rest.find(({ phase, error }) => hasFailed(phase) && kindOf(error) === kind) ?? null,
  };
}

/** How the runs that were looked at are called. */
export const runsBefore = (count: number): string =>
  count === 1 ? "the run before" : `the ${count.toLocaleString("en")} runs before`;
