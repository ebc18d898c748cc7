import { useMemo, useState } from "react";
import { type Action, type ActionForest, useForestVersion } from "../actions/useForest";
import type { TreeFilter } from "../actions/visible";
import { useNow } from "../ui/clock";
import { type Sort, type TableSearch } from "./address";
import { builtIn, type Column, type Context } from "./columns";
import { type Choice, choicesOf, type Range, rangeOf, rowsOf, sorted } from "./rows";
import { type Summary, summaryOf } from "./summary";
import type { Values } from "./useValues";

interface Options {
  forest: ActionForest;
  filter: TreeFilter;
  search: TableSearch;
  columns: readonly Column[];
  sort: Sort | null;
  /** The column of the order. */
  by: Column | null;
  values: Values;
  /** Changes with the values. */
  version: number;
  runEnd: string | null;
  /** Someone is reading: no row may move. */
  isHeld: boolean;
}

export interface Rows {
  /** In their order. */
  rows: readonly Action[];
  /** The newest data of a row. */
  newest: (row: Action) => Action;
  context: Context;
  ranges: ReadonlyMap<string, Range | null>;
  /** All rows of the choice, whatever the search and the phases. */
  all: readonly Action[];
  /** Of all these. */
  summary: Summary;
  choices: readonly Choice[];
  /** Whether rows would be elsewhere if nobody read. */
  isOutdated: boolean;
}

/** How often the times of what runs are sorted again, in milliseconds. */
const TICK = 5_000;

/** Large tables are sorted less often. */
const paceOf = (size: number): number => (size < 5_000 ? 500 : 2_500);

/** The rows of the table, sorted again as actions change, but not while someone reads. */
export function useRows(options: Options): Rows {
  const { forest, filter, search, columns, sort, by, values, version, runEnd, isHeld } = options;
  const changes = useForestVersion(forest, paceOf(forest.size), "version");
  const end = runEnd === null ? null : Date.parse(runEnd);
  const ticking = useNow(end === null, TICK);
  const now = end ?? ticking;
  const context = useMemo<Context>(
    () => ({ now, runEnd: end, valueOf: values.valueOf }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- values and forest change in place
    [values, version, end, changes, now],
  );
  const { of, same } = search;
  const found = useMemo(() => {
    const rows = rowsOf(forest, of, filter, same);
    return by && sort ? sorted(rows, by, sort.descending, context) : rows;
  }, [forest, of, filter, same, by, sort, context]);
  const whole = useMemo(() => {
    const all = rowsOf(forest, of, NO_FILTER, undefined);
    return { all, summary: summaryOf(all, context), choices: choicesOf(forest) };
  }, [forest, of, context]);
  const ranges = useMemo(
    () =>
      new Map(columns.map((column) => [column.id, hasBar(column) ? rangeOf(found, column, context) : null])),
    [columns, found, context],
  );
  // The order that is read is kept until nobody reads, or other rows or another order are requested.
  const requested = `${of}\n${same}\n${sort?.id}\n${sort?.descending}\n${filter.text}\n${filter.phases.join()}`;
  const [held, setHeld] = useState<{ requested: string; rows: readonly Action[] }>({
    requested,
    rows: found,
  });
  const keeps = isHeld && held.requested === requested && held.rows.length > 0;
  if (!keeps && (held.rows !== found || held.requested !== requested)) setHeld({ requested, rows: found });
  const rows = keeps ? held.rows : found;
  const isOutdated = useMemo(() => keeps && !haveSameOrder(held.rows, found), [keeps, held.rows, found]);
  const newest = (row: Action): Action => forest.find(row.name)?.action ?? row;
  return { rows, newest, context, ranges, ...whole, isOutdated };
}

const NO_FILTER: TreeFilter = { text: "", phases: [] };

/** Whether cells of the column show their size. */
export const hasBar = ({ kind, id }: Column): boolean =>
  (kind === "number" && id !== builtIn.get("attempts")?.id) || kind === "duration";

function haveSameOrder(one: readonly Action[], other: readonly Action[]): boolean {
  return one.length === other.length && one.every((row, at) => row.name === other[at]?.name);
}
