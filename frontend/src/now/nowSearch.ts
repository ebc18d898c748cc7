import { text } from "../live/search";
import type { ActionPhase } from "../gql/graphql";

/** The parameters of the page Now in the URL: the tile that is selected of each kind. */
export interface NowSearch {
  project?: string | undefined;
  /** The subject of a person. */
  by?: string | undefined;
}

export function readNowSearch(query: Record<string, unknown>): NowSearch {
  return { project: text(query.project), by: text(query.by) };
}

export const QUEUED: ActionPhase[] = ["QUEUED", "WAITING_FOR_RESOURCES"];
export const RUNNING: ActionPhase[] = ["INITIALIZING", "RUNNING"];
export const UNFINISHED: ActionPhase[] = [...QUEUED, ...RUNNING, "PAUSED"];
export const FAILED: ActionPhase[] = ["FAILED", "TIMED_OUT"];
