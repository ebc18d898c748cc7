import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import classes from "./Artifacts.module.css";
import { type Table, columnWidths, isNumeric, sorted } from "./table";

const ROW = 24;

/** A table of any length: only visible rows are rendered. */
export function TableView({ table, name }: { table: Table; name: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [order, setOrder] = useState<{ column: number; isDescending: boolean } | null>(null);
  const rows = useMemo(
    () => (order ? sorted(table, order.column, order.isDescending) : table.rows),
    [table, order],
  );
  const looks = useMemo(() => {
    const widths = columnWidths(table);
    return {
      grid: {
        gridTemplateColumns: widths.map((width) => `minmax(calc(${width}ch + 16px), 1fr)`).join(" "),
        // Equal for all rows, so that their columns are aligned.
        width: `calc(${widths.reduce((sum, width) => sum + width, 0)}ch + ${widths.length * 16}px)`,
      },
      numeric: table.columns.map((_, at) => isNumeric(table, at)),
    };
  }, [table]);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
    scrollMargin: ROW,
  });
  const sort = (column: number): void =>
    setOrder((before) =>
      before?.column !== column
        ? { column, isDescending: false }
        : before.isDescending
          ? null
          : { column, isDescending: true },
    );
  return (
    <>
      <div
        ref={scroller}
        className={classes.table}
        role="table"
        aria-label={name}
        aria-rowcount={rows.length + 1}
        tabIndex={0}
      >
        <div role="rowgroup" className={classes.tableHead}>
          <div role="row" aria-rowindex={1} className={classes.row} style={looks.grid}>
            {table.columns.map((column, at) => (
              <span
                key={at}
                role="columnheader"
                aria-sort={order?.column !== at ? "none" : order.isDescending ? "descending" : "ascending"}
                data-numeric={looks.numeric[at]}
              >
                <button type="button" title={`Sort by ${column}`} onClick={() => sort(at)}>
                  {column || "–"}
                  <span aria-hidden>{order?.column === at ? (order.isDescending ? " ↓" : " ↑") : ""}</span>
                </button>
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
          {virtualizer.getVirtualItems().map(({ index, start }) => (
            <div
              key={index}
              role="row"
              aria-rowindex={index + 2}
              className={`${classes.row} ${classes.body}`}
              style={{ ...looks.grid, transform: `translateY(${start - ROW}px)` }}
            >
              {table.columns.map((_, at) => (
                <span key={at} role="cell" title={rows[index]?.[at]} data-numeric={looks.numeric[at]}>
                  {rows[index]?.[at]}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
      <p className="faint small">{describeTable(table)}</p>
    </>
  );
}

function describeTable({ columns, rows, rowCount, hasMore }: Table): string {
  const count = (n: number, what: string): string => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
  if (rows.length < rowCount || hasMore) {
    const all = hasMore ? "more" : rowCount.toLocaleString("en");
    return `The first ${count(rows.length, "row")} of ${all}, ${count(columns.length, "column")}. Download it for the rest.`;
  }
  return `${count(rowCount, "row")}, ${count(columns.length, "column")}`;
}
