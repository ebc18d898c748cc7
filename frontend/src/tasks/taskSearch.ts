import { text } from "../live/search";

/** The parameters of the task list in the URL. */
export interface TaskSearch {
  project?: string | undefined;
  domain?: string | undefined;
  /** The age limit, such as `7d`, or `all`. */
  since?: string | undefined;
}

export const DEFAULT_SINCE = "7d";

export const SINCE: Record<string, string> = {
  "24h": "last 24 hours",
  "7d": "last 7 days",
  "30d": "last 30 days",
  all: "all runs",
};

export function readTaskSearch(query: Record<string, unknown>): TaskSearch {
  const since = text(query.since);
  return {
    project: text(query.project),
    domain: text(query.domain),
    since: since && Object.hasOwn(SINCE, since) && since !== DEFAULT_SINCE ? since : undefined,
  };
}
