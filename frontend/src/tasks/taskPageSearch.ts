import { flag } from "../live/search";

/** The parameters of a task's page in the URL. */
export interface TaskPageSearch {
  /** The name in the address is that of a function. */
  function?: true | undefined;
  /** Only actions that failed. */
  failed?: true | undefined;
  /** More actions of each run. */
  more?: true | undefined;
}

export function readTaskPageSearch(query: Record<string, unknown>): TaskPageSearch {
  return { function: flag(query.function), failed: flag(query.failed), more: flag(query.more) };
}
