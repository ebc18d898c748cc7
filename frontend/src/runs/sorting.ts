import type { ActionOrder } from "../gql/graphql";
import { text } from "../live/search";

type Direction = ActionOrder["direction"];

/** The columns that the list is sorted by: the field of the API, and the direction that comes first. */
const SORTS: Record<string, { field: ActionOrder["field"]; first: NonNullable<Direction> }> = {
  phase: { field: "PHASE", first: "ASC" },
  run: { field: "NAME", first: "ASC" },
  duration: { field: "DURATION", first: "DESC" },
  started: { field: "CREATED_AT", first: "DESC" },
};

/** The order of the live list, newest first. */
const DEFAULT = "-started";

export const isSortable = (column: string): boolean => Object.hasOwn(SORTS, column);

const columnOf = (sort: string): string => sort.replace(/^-/, "");

/** A sort in the URL: a column, with `-` before it for descending; undefined for the default. */
export function readSort(value: unknown): string | undefined {
  const sort = text(value);
  return sort !== undefined && sort !== DEFAULT && isSortable(columnOf(sort)) ? sort : undefined;
}

/** The order for the API; undefined for the default. */
export function orderOf(sort: string | undefined): ActionOrder | undefined {
  const found = sort === undefined ? undefined : SORTS[columnOf(sort)];
  return found && { field: found.field, direction: sort?.startsWith("-") ? "DESC" : "ASC" };
}

/** The value of `aria-sort` of a column. */
export function ariaSort(sort: string | undefined, column: string): "ascending" | "descending" | "none" {
  const now = sort ?? DEFAULT;
  if (columnOf(now) !== column) return "none";
  return now.startsWith("-") ? "descending" : "ascending";
}

/** The sort after a click on a column: its first direction, then the other one, then the default. */
export function nextSort(sort: string | undefined, column: string): string | undefined {
  const descends = SORTS[column]?.first === "DESC";
  const [first, second] = descends ? [`-${column}`, column] : [column, `-${column}`];
  const now = sort ?? DEFAULT;
  return now === first ? second : now === second ? undefined : readSort(first);
}
