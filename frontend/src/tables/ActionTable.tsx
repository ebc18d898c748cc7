import { useMemo, useState } from "react";
import type { ActionForest } from "../actions/useForest";
import { isFiltering, type TreeFilter } from "../actions/visible";
import { problemOf } from "../live/errors";
import type { RunName } from "../live/paths";
import { later } from "../ui/later";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import classes from "./ActionTable.module.css";
import { readSort, type Sort, type TableSearch, writeSort } from "./address";
import { columnOf, idOf } from "./columns";
import { columnsOf, defaultColumns, resultColumns, unitsOf } from "./found";
import { SummaryLine } from "./SummaryLine";
import { TableGrid } from "./TableGrid";
import { TableTools } from "./TableTools";
import { useFound } from "./useFound";
import { useRows } from "./useRows";
import { useValues } from "./useValues";

// Loaded when it is opened.
const ScatterPlot = later(
  () => import("./ScatterPlot").then((module) => module.ScatterPlot),
  <LoadingNotice what="the plot" />,
);

/** Results whose best action is named. */
const RESULTS = 3;
/** Columns that the server reads at once. */
const MOST_READ = 30;

interface Props {
  run: RunName;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  forest: ActionForest;
  filter: TreeFilter;
  search: TableSearch;
  /** Changes parameters of the address. */
  onSearch: (change: TableSearch & { phase?: string[] | undefined }) => void;
  selected: string | undefined;
  onSelect: (name: string) => void;
}

/** The actions of a run as a table, with columns of their specs, outputs and metrics. */
export function ActionTable({ run, runEnd, forest, filter, search, onSearch, selected, onSelect }: Props) {
  const { found, error } = useFound(run, search.of, runEnd === null);
  const [isHeld, setHeld] = useState(false);
  const units = useMemo(() => unitsOf(found), [found]);
  const ids = useMemo(() => search.col ?? defaultColumns(found), [search.col, found]);
  const columns = useMemo(() => columnsOf(["name", ...ids], units), [ids, units]);
  const sort = useMemo(() => readSort(search.sort), [search.sort]);
  const by = useMemo(() => (sort ? columnOf(sort.id, units.get(sort.id)) : null), [sort, units]);
  const axes = useMemo(
    () =>
      columnsOf(
        [search.x, search.y].flatMap((id) => id ?? []),
        units,
      ),
    [search.x, search.y, units],
  );
  const results = useMemo(() => resultColumns(found).slice(0, RESULTS), [found]);
  // The columns of the order, of the plot and of the summary are read too.
  const needed = useMemo(() => {
    const also = [...axes, ...(by ? [by] : [])].map(({ id }) => id);
    const all = columnsOf([...also, ...results.map(idOf), ...columns.map(({ id }) => id)], units);
    return all.filter(({ read }) => read).slice(0, MOST_READ);
  }, [columns, axes, by, results, units]);
  const { values, version, problem } = useValues(run, needed);
  const table = useRows({ forest, filter, search, columns, sort, by, values, version, runEnd, isHeld });
  const sortBy = (next: Sort, change: TableSearch & { phase?: string[] } = {}): void => {
    const isShown = columns.some(({ id }) => id === next.id);
    onSearch({
      ...change,
      sort: writeSort(next),
      ...(isShown ? {} : { col: [...ids, next.id] }),
    });
  };
  const { rows } = table;
  return (
    <div className={classes.table}>
      <SummaryLine
        summary={table.summary}
        results={results}
        forest={forest}
        same={search.same}
        all={table.all}
        context={table.context}
        onSort={sortBy}
        onSelect={onSelect}
        onSame={(same) => onSearch({ same })}
      />
      <TableTools
        run={run}
        table={table}
        columns={columns}
        found={found}
        ids={ids}
        search={search}
        isRead={values.synced}
        onSearch={onSearch}
      />
      {problem || error ? (
        <ErrorNotice
          title="Columns of specs, outputs and metrics could not be read"
          problem={problem ?? problemOf(error)}
        />
      ) : null}
      {search.x !== undefined && search.y !== undefined ? (
        <ScatterPlot
          table={table}
          found={found}
          search={search}
          units={units}
          selected={selected}
          onSearch={onSearch}
          onSelect={onSelect}
        />
      ) : null}
      <TableGrid
        table={table}
        columns={columns}
        sort={sort}
        selected={selected}
        onSelect={onSelect}
        onSort={sortBy}
        onReading={setHeld}
      >
        {!rows.length && !forest.synced ? <LoadingNotice what="actions" /> : null}
        {!rows.length && forest.synced ? (
          <EmptyNotice title={isFiltering(filter) || search.same ? "No action matches" : "No actions"}>
            Change the search, the phases or the rows above.
          </EmptyNotice>
        ) : null}
      </TableGrid>
    </div>
  );
}
