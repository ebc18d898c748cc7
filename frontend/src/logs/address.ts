import type { ActionIdentifierInput } from "../gql/graphql";
import { runParams } from "../live/paths";
import { type Query, printQuery, text } from "../live/search";
import { isLevel } from "./levels";
import type { LogView } from "./LogToolbar";

/** The search parameters of the page of a log. */
export interface LogSearch extends LogView {
  action?: string | undefined;
}

/** Reads them from a query string. */
export function readLogSearch(query: Query | Record<string, unknown>): LogSearch {
  const level = text(query.level)?.toUpperCase();
  return {
    action: text(query.action),
    attempt: positive(query.attempt),
    stream: text(query.stream),
    level: isLevel(level) ? level : undefined,
    term: text(query.term),
    line: positive(query.line),
    link: text(query.link),
  };
}

function positive(value: unknown): number | undefined {
  const number = Number(typeof value === "number" ? value : text(value));
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}

/** The address of a line in the page of its log; `base` is that of the application. */
export function addressOfLine(
  base: string,
  { name, runName, ...id }: ActionIdentifierInput,
  view: LogView,
): string {
  const { project, domain, name: run } = runParams({ ...id, name: runName });
  const path = [project, domain, run].map(encodeURIComponent).join("/");
  const { attempt, stream, level, term, line, link } = view;
  const query = { action: name, attempt, link, stream, level: level?.toLowerCase(), term, line };
  return new URL(`runs/${path}/logs${printQuery(query)}`, base).href;
}
