import type { RunFilter } from "../gql/graphql";
import { fromSegment, toSegment } from "../live/paths";

/** What runs of a project and domain execute: a task, or else a function, or neither. */
export interface TaskName {
  project: string;
  domain: string;
  taskName?: string | null | undefined;
  functionName?: string | null | undefined;
}

/** What a run executes. */
export interface Executing {
  project: string;
  domain: string;
  task?: { name: string } | null | undefined;
  functionName?: string | null | undefined;
}

export const taskOf = ({ project, domain, task, functionName }: Executing): TaskName =>
  task ? { project, domain, taskName: task.name } : { project, domain, functionName };

export const titleOf = ({ taskName, functionName }: TaskName): string =>
  taskName ?? functionName ?? "(no task)";

/** The filter for its runs. */
export function filterOfTask({ project, domain, taskName, functionName }: TaskName): RunFilter {
  if (taskName != null) return { project, domain, taskName };
  if (functionName != null) return { project, domain, functionName, hasTask: false };
  return { project, domain, hasTask: false, hasFunction: false };
}

/** Its runs, as parameters of the list of runs. */
export function runsOfTask({ project, domain, taskName, functionName }: TaskName) {
  if (taskName != null) return { project, domain, task: taskName };
  const noTask = true as const;
  return functionName != null
    ? { project, domain, function: functionName, noTask }
    : { project, domain, noTask, noFunction: true as const };
}

/** The link to its page. */
export function taskLink({ project, domain, taskName, functionName }: TaskName) {
  const name = taskName ?? functionName;
  const place = { project: toSegment(project), domain: toSegment(domain) };
  return name == null
    ? ({ to: "/tasks/$project/$domain", params: place } as const)
    : ({
        to: "/tasks/$project/$domain/$task",
        params: { ...place, task: toSegment(name) },
        search: { function: taskName == null ? (true as const) : undefined },
      } as const);
}

/** The task of a page's address. */
export function readTask(
  params: { project: string; domain: string; task?: string | undefined },
  isFunction: boolean,
): TaskName {
  const name = params.task === undefined ? undefined : fromSegment(params.task);
  return {
    project: fromSegment(params.project),
    domain: fromSegment(params.domain),
    ...(isFunction ? { functionName: name } : { taskName: name }),
  };
}
