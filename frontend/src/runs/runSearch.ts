import type { RunFilter } from "../gql/graphql";
import { flag, text, texts } from "../live/search";
import { searchTerm } from "../live/paths";
import { parseDuration } from "../ui/durations";
import { parseTime } from "../ui/times";

/** The filter of the list as URL parameters. */
export interface RunSearch {
  project?: string | undefined;
  domain?: string | undefined;
  phase?: string[] | undefined;
  /** Excluded phases. */
  not?: string[] | undefined;
  q?: string | undefined;
  task?: string | undefined;
  version?: string | undefined;
  function?: string | undefined;
  trigger?: string | undefined;
  /** `key` or `key=value`. */
  label?: string[] | undefined;
  source?: string[] | undefined;
  by?: string | undefined;
  /** RFC 3339, or an age such as `24h`. */
  from?: string | undefined;
  to?: string | undefined;
  /** Durations such as `5m`. */
  longer?: string | undefined;
  shorter?: string | undefined;
  paused?: true | undefined;
  aborting?: true | undefined;
  noTask?: true | undefined;
  noFunction?: true | undefined;
}

export function readRunSearch(query: Record<string, unknown>): RunSearch {
  return {
    project: text(query.project),
    domain: text(query.domain),
    phase: texts(query.phase),
    not: texts(query.not),
    q: text(query.q),
    task: text(query.task),
    version: text(query.version),
    function: text(query.function),
    trigger: text(query.trigger),
    label: texts(query.label),
    source: texts(query.source),
    by: text(query.by),
    from: text(query.from),
    to: text(query.to),
    longer: text(query.longer),
    shorter: text(query.shorter),
    paused: flag(query.paused),
    aborting: flag(query.aborting),
    noTask: flag(query.noTask),
    noFunction: flag(query.noFunction),
  };
}

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
  const set = <Name extends keyof RunFilter>(name: Name, value: RunFilter[Name] | undefined): void => {
    if (value !== undefined) filter[name] = value;
  };
  set("project", search.project);
  set("domain", search.domain);
  set("phases", search.phase as RunFilter["phases"]);
  set("excludePhases", search.not as RunFilter["excludePhases"]);
  set("search", search.q && searchTerm(search.q));
  set("taskName", search.task);
  set("taskVersion", search.version);
  set("functionName", search.function);
  set("triggerName", search.trigger);
  set("sources", search.source as RunFilter["sources"]);
  set("createdBy", search.by);
  set("labels", search.label?.map(labelOf));
  set("startDate", toApiTime(search.from, now, utc));
  set("endDate", toApiTime(search.to, now, utc));
  set("minDurationMs", search.longer ? (parseDuration(search.longer) ?? undefined) : undefined);
  // Unfinished runs count up to now.
  if (filter.minDurationMs !== undefined) set("minDurationAsOf", new Date(now).toISOString());
  set("maxDurationMs", search.shorter ? (parseDuration(search.shorter) ?? undefined) : undefined);
  set("hasPausedActions", search.paused);
  set("abortPending", search.aborting);
  set("hasTask", search.noTask && false);
  set("hasFunction", search.noFunction && false);
  return filter;
}

function labelOf(label: string): { key: string; value?: string } {
  const at = label.indexOf("=");
  return at < 0 ? { key: label } : { key: label.slice(0, at), value: label.slice(at + 1) };
}

/** Whether any filter is set. */
export function isFiltered(search: RunSearch): boolean {
  return Object.values(search).some((value) => value !== undefined);
}

/** One active filter as text, and the parameters without it. */
export interface Chip {
  key: string;
  label: string;
  without: RunSearch;
}

const NAMES: Partial<Record<keyof RunSearch, string>> = {
  project: "project",
  domain: "domain",
  task: "task",
  version: "version",
  function: "function",
  trigger: "trigger",
  label: "label",
  source: "source",
  by: "by",
  longer: "longer than",
  shorter: "shorter than",
  phase: "phase",
  not: "exclude",
};

/** The active filters, each removable by itself. The search text has its own field. */
export function chipsOf(search: RunSearch, show: (name: keyof RunSearch, value: string) => string): Chip[] {
  const chips: Chip[] = [];
  for (const [name, value] of Object.entries(search) as [keyof RunSearch, string | string[] | true][]) {
    if (!value || name === "q") continue;
    if (Array.isArray(value)) {
      for (const item of value) {
        const rest = value.filter((other) => other !== item);
        const without = { ...search, [name]: rest.length ? rest : undefined };
        chips.push({ key: `${name}:${item}`, label: `${NAMES[name] ?? name}: ${show(name, item)}`, without });
      }
    } else {
      const words: Record<string, string> = {
        paused: "has paused actions",
        aborting: "abort unconfirmed",
        noTask: "no task",
        noFunction: "no function",
      };
      const prefix = name === "from" ? "since" : name === "to" ? "until" : (NAMES[name] ?? name);
      const label = value === true ? (words[name] ?? name) : `${prefix}: ${show(name, value)}`;
      chips.push({ key: name, label, without: { ...search, [name]: undefined } });
    }
  }
  return chips;
}
