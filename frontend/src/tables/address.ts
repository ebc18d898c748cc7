import { text, texts } from "../live/search";

/** The search parameters of the table. */
export interface TableSearch {
  /** Which actions: `all`, `group:NAME` or `parent:NAME`; without it those without children. */
  of?: string | undefined;
  /** The ids of the columns; without it those that differ most. */
  col?: string[] | undefined;
  /** The id of a column; `-` before it for descending. */
  sort?: string | undefined;
  /** Only actions with the same error as this one. */
  same?: string | undefined;
  /** The columns of the scatter plot, which is shown if both are set. */
  x?: string | undefined;
  y?: string | undefined;
  /** The logarithmic axes: `x`, `y` or `xy`. */
  log?: string | undefined;
}

export function readTableSearch(query: Record<string, unknown>): TableSearch {
  return {
    of: text(query.of),
    col: texts(query.col),
    sort: text(query.sort),
    same: text(query.same),
    x: text(query.x),
    y: text(query.y),
    log: text(query.log),
  };
}

/** The order of the rows: a column and a direction. */
export interface Sort {
  id: string;
  descending: boolean;
}

export function readSort(sort: string | undefined): Sort | null {
  if (!sort) return null;
  return sort.startsWith("-") ? { id: sort.slice(1), descending: true } : { id: sort, descending: false };
}

export const writeSort = ({ id, descending }: Sort): string => (descending ? `-${id}` : id);
