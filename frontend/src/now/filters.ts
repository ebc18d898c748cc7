import type { RunFilter } from "../gql/graphql";
import { FAILED, type NowSearch, QUEUED, RUNNING, UNFINISHED } from "./nowSearch";

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
/** Queued for that long counts as stuck, in milliseconds. */
export const LONG_QUEUED = 10 * MINUTE;
/** So does a run without a report for that long. */
export const SILENT = 5 * MINUTE;
/** Running runs that are compared with their task. */
export const COMPARED = 300;
/** Rows of each list. */
export const FIRST = 50;

/** The time, rounded to minutes: the filters of reads within one are the same. */
const before = (now: number, ms: number): string =>
  new Date(Math.floor((now - ms) / MINUTE) * MINUTE).toISOString();

const of = ({ project, by }: NowSearch): RunFilter => ({ project, createdBySubject: by });

const failed = (search: NowSearch, now: number): RunFilter => ({
  ...of(search),
  phases: FAILED,
  startDate: before(now, DAY),
});

export function countVariables(search: NowSearch, now: number) {
  const [person, project] = [{ by: search.by }, { project: search.project }];
  return {
    unfinishedOfPerson: { ...of(person), phases: UNFINISHED },
    failedOfPerson: failed(person, now),
    unfinishedOfProject: { ...of(project), phases: UNFINISHED },
    failedOfProject: failed(project, now),
  };
}

/** The filters of the lists; `viewer` is the subject of the signed-in user. */
export function listVariables(search: NowSearch, viewer: string | undefined, now: number) {
  const filter = of(search);
  return {
    running: { ...filter, phases: RUNNING },
    queued: {
      ...filter,
      phases: QUEUED,
      minDurationMs: LONG_QUEUED,
      minDurationAsOf: new Date(now).toISOString(),
    },
    paused: { ...filter, hasPausedActions: true, phases: UNFINISHED },
    silent: { ...filter, silentSince: new Date(now - SILENT).toISOString() },
    mine: { project: search.project, createdBySubject: viewer, phases: UNFINISHED },
    withMine: viewer !== undefined,
    compared: COMPARED,
    first: FIRST,
  };
}

/** The runs of a person that an abort of all of them stops. */
export const ofPerson = (subject: string, { project }: NowSearch): RunFilter => ({
  createdBySubject: subject,
  project,
  phases: UNFINISHED,
});
