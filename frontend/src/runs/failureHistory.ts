import { type ShownError, hasFailed, kindOf } from "../actions/failures";

/** A run of the same task. */
export interface TaskRun {
  project: string;
  domain: string;
  name: string;
  phase: string;
  createdAt: string;
  task?: { version: string } | null | undefined;
  error?: ShownError | null | undefined;
}

/** Since when runs of a task fail. */
export interface FailureHistory {
  /** The first of the failed runs in a row; the run itself if the one before succeeded. */
  first: TaskRun;
  /** How many failed in a row, this one included. */
  count: number;
  /** The last one that succeeded before; null if none of the known ones did. */
  before: TaskRun | null;
  /** The versions of the task, if it changed when the failures began. */
  versions: { from: string; to: string } | null;
  /** The latest failed run before that has another error. */
  other: TaskRun | null;
}

const SUCCEEDED = ["SUCCEEDED", "RECOVERED"];

/** The history of a failed run, from the runs before it, newest first. Those that were aborted or skipped do not count. */
export function failureHistory(run: TaskRun, earlier: readonly TaskRun[]): FailureHistory {
  let [first, count] = [run, 1];
  let [before, other]: [TaskRun | null, TaskRun | null] = [null, null];
  for (const each of earlier) {
    if (SUCCEEDED.includes(each.phase)) {
      before = each;
      break;
    }
    if (!hasFailed(each.phase)) continue;
    first = each;
    count += 1;
    if (!other && kindOf(each.error) !== kindOf(run.error)) other = each;
  }
  const [from, to] = [before?.task?.version, first.task?.version];
  const versions = from !== undefined && to !== undefined && from !== to ? { from, to } : null;
  return { first, count, before, versions, other };
}
