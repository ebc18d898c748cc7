import type { FoundColumnsQuery } from "../gql/graphql";
import { columnOf, idOf } from "./columns";

export type Found = FoundColumnsQuery["actionColumns"]["columns"][number];

/** Columns of each source that are shown at first. */
const FIRST = 3;

/** How telling a column is: those that differ, in most actions, and numbers first. */
function telling({ actions, numbers, distinct }: Found, most: number): number {
  if (distinct < 2) return 0;
  const isNumber = numbers === actions;
  // Texts that are all different are mostly names and paths.
  const isName = !isNumber && distinct === actions && actions > 2;
  return (actions / most) * (isNumber ? 3 : isName ? 0.5 : 2);
}

/** The found columns, the most telling first. */
export function ranked(found: readonly Found[]): Found[] {
  const most = Math.max(1, ...found.map(({ actions }) => actions));
  return found
    .map((each) => ({ each, score: telling(each, most) }))
    .sort((one, other) => other.score - one.score)
    .map(({ each }) => each);
}

/** The ids of the columns that are shown until the user chooses. */
export function defaultColumns(found: readonly Found[]): string[] {
  const most = Math.max(1, ...found.map(({ actions }) => actions));
  const useful = ranked(found).filter((each) => telling(each, most) >= 0.5);
  const of = (source: Found["source"]): string[] =>
    useful
      .filter((each) => each.source === source)
      .slice(0, FIRST)
      .map(idOf);
  return ["name", "phase", "run", ...of("SPEC"), ...of("OUTPUTS"), ...of("METRICS"), "error"];
}

/** Names of numbers of which the lowest is the best. */
const LOWER =
  /loss|err|rmse|mse|mae|mape|perplexity|ppl|latency|duration|time|seconds|memory|cost|regret|fid$/i;

export const isLowerBetter = (id: string): boolean => LOWER.test(id.slice(id.indexOf(":") + 1));

/** Words in the names of results, which settings and counts do not have. */
const RESULT = /acc|loss|score|auc|f1|precision|recall|err|mse|mae|bleu|rouge|reward|perplexity|r2|map|iou/i;

/** The columns that say which action is the best: numbers of outputs and metrics that differ, by their names. */
export function resultColumns(found: readonly Found[]): Found[] {
  const numbers = ranked(found).filter(
    ({ source, actions, numbers, distinct }) => source !== "SPEC" && numbers === actions && distinct > 1,
  );
  return numbers.filter(({ path }) => RESULT.test(path.join(".")));
}

/** Settings of training by which results are plotted first, and those of them with a logarithmic axis. */
const SETTING = /lr|rate|decay|alpha|size|dim|layers|depth/i;
const LOGARITHMIC = /lr|rate|decay|alpha/i;

/** The columns that are plotted first: a setting, and a result or the run time. */
export function axesFor(found: readonly Found[]): { x: string; y: string; log?: string } {
  const numbers = ranked(found).filter(
    ({ source, actions, numbers, distinct }) => source === "SPEC" && numbers === actions && distinct > 1,
  );
  const byName = (pattern: RegExp) => numbers.find(({ path }) => pattern.test(path.join(".")));
  const setting = byName(LOGARITHMIC) ?? byName(SETTING) ?? numbers[0];
  const [result] = resultColumns(found);
  return {
    x: setting ? idOf(setting) : "started",
    y: result ? idOf(result) : "run",
    ...(setting && LOGARITHMIC.test(setting.path.join(".")) ? { log: "x" } : {}),
  };
}

/** The units of metrics, by the ids of their columns. */
export const unitsOf = (found: readonly Found[]): Map<string, string | null> =>
  new Map(found.map((each) => [idOf(each), each.unit ?? null]));

/** The columns of these ids that exist, each once. */
export function columnsOf(ids: readonly string[], units: ReadonlyMap<string, string | null>) {
  return [...new Set(ids)].flatMap((id) => columnOf(id, units.get(id)) ?? []);
}
