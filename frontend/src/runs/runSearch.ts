import type { RunFilter } from "../gql/graphql";
import { flag, text, texts } from "../live/search";
import { searchTerm } from "../live/paths";
import { parseDuration } from "../ui/durations";
import { parseTime } from "../ui/times";
import { readSort } from "./sorting";

/** A parameter of the URL: its name in chips, how to read it, and what of the API's filter it sets. */
const field = <Value>(
  label: string,
  read: (value: unknown) => Value | undefined,
  toApi: (value: Value, now: number, utc: boolean) => RunFilter,
) => ({ label, read, toApi });

/** The API's exactness in milliseconds: shorter silences are not told apart. */
const LEAST_SILENCE = 60_000;

/** The filters with a place of their own. */
const COMMON = {
  project: field("project", text, (project) => ({ project })),
  domain: field("domain", text, (domain) => ({ domain })),
  phase: field("phase", texts, (phases) => ({ phases: phases as RunFilter["phases"] })),
  not: field("exclude", texts, (phases) => ({ excludePhases: phases as RunFilter["phases"] })),
  q: field("search", text, (typed) => ({ search: searchTerm(typed) })),
};

/** The filters of `MoreFilters`. Times are RFC 3339 or an age such as `24h`, durations such as `5m`. */
export const MORE = {
  task: field("task", text, (taskName) => ({ taskName })),
  version: field("version", text, (taskVersion) => ({ taskVersion })),
  function: field("function", text, (functionName) => ({ functionName })),
  trigger: field("trigger", text, (triggerName) => ({ triggerName })),
  // `key` or `key=value`
  label: field("label", texts, (labels) => ({ labels: labels.map(labelOf) })),
  source: field("source", texts, (sources) => ({ sources: sources as RunFilter["sources"] })),
  by: field("by", text, (createdBy) => ({ createdBy })),
  from: field("since", text, (time, now, utc) => ({ startDate: toApiTime(time, now, utc) })),
  to: field("until", text, (time, now, utc) => ({ endDate: toApiTime(time, now, utc) })),
  // Unfinished runs count up to now.
  longer: field("longer than", text, (duration, now) => {
    const minDurationMs = parseDuration(duration);
    return minDurationMs === null ? {} : { minDurationMs, minDurationAsOf: new Date(now).toISOString() };
  }),
  shorter: field("shorter than", text, (duration) => ({
    maxDurationMs: parseDuration(duration) ?? undefined,
  })),
  executor: field("executor", text, (executor) => ({ executor })),
  // Unfinished runs without a report for that long.
  silent: field("no report for", text, (duration, now) => {
    const ms = parseDuration(duration);
    return ms === null ? {} : { silentSince: new Date(now - Math.max(ms, LEAST_SILENCE)).toISOString() };
  }),
  paused: field("has paused actions", flag, (hasPausedActions) => ({ hasPausedActions })),
  aborting: field("abort pending", flag, (abortPending) => ({ abortPending })),
  noTask: field("no task", flag, () => ({ hasTask: false })),
  noFunction: field("no function", flag, () => ({ hasFunction: false })),
};

const FIELDS = { ...COMMON, ...MORE };
type Fields = typeof FIELDS;

type Filters = { [Name in keyof Fields]?: ReturnType<Fields[Name]["read"]> };

/** The filter of the list as URL parameters, and its order. */
export interface RunSearch extends Filters {
  /** A column, with `-` before it for descending. */
  sort?: string | undefined;
}

export function readRunSearch(query: Record<string, unknown>): RunSearch {
  const filters = Object.entries(FIELDS).map(([name, { read }]) => [name, read(query[name])]);
  return { ...Object.fromEntries(filters), sort: readSort(query.sort) } as RunSearch;
}

type Entry = [keyof Filters, string | string[] | true];

/** The filters that are set, by name. */
const filtersOf = (search: RunSearch): Entry[] =>
  Object.entries(search).filter((entry): entry is Entry => entry[0] !== "sort" && entry[1] !== undefined);

const FIRST_TIME = Date.parse("0001-01-01T00:00:00Z");

/**
 * A time for the API: `24h` means that long before `now`; a time without an offset is in the zone that the
 * page shows, UTC or local.
 */
export function toApiTime(value: string | undefined, now: number, utc: boolean): string | undefined {
  if (!value) return undefined;
  const ago = parseDuration(value);
  const date = new Date(ago === null ? parseTime(value, utc) : now - ago);
  // RFC 3339 has four-digit years.
  return date.getTime() >= FIRST_TIME ? date.toISOString() : undefined;
}

/** The filter for the API. Invalid values are ignored. */
export function filterOf(search: RunSearch, now: number, utc: boolean): RunFilter {
  const filter: RunFilter = {};
  for (const [name, value] of filtersOf(search)) {
    const toApi = FIELDS[name].toApi as (value: unknown, now: number, utc: boolean) => RunFilter;
    Object.assign(filter, toApi(value, now, utc));
  }
  return filter;
}

function labelOf(label: string): { key: string; value?: string } {
  const at = label.indexOf("=");
  return at < 0 ? { key: label } : { key: label.slice(0, at), value: label.slice(at + 1) };
}

/** Whether any filter is set. */
export function isFiltered(search: RunSearch): boolean {
  return filtersOf(search).length > 0;
}

/** One active filter as text, and the parameters without it. */
export interface Chip {
  key: string;
  label: string;
  without: RunSearch;
}

/** The active filters, each removable by itself. The search text has its own field. */
export function chipsOf(search: RunSearch, show: (name: keyof RunSearch, value: string) => string): Chip[] {
  const chips: Chip[] = [];
  for (const [name, value] of filtersOf(search)) {
    if (name === "q") continue;
    if (Array.isArray(value)) {
      for (const item of value) {
        const rest = value.filter((other) => other !== item);
        const without = { ...search, [name]: rest.length ? rest : undefined };
        chips.push({ key: `${name}:${item}`, label: `${FIELDS[name].label}: ${show(name, item)}`, without });
      }
    } else {
      const label = value === true ? FIELDS[name].label : `${FIELDS[name].label}: ${show(name, value)}`;
      chips.push({ key: name, label, without: { ...search, [name]: undefined } });
    }
  }
  return chips;
}
