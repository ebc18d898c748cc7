import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useId, useLayoutEffect, useMemo, useRef } from "react";
import { columns } from "./columns";
import { RunRow } from "./RunRow";
import classes from "./RunTable.module.css";
import { SortHead } from "./SortHead";
import type { Ticks } from "./useTicks";
import type { ListView, RunList } from "./runList";
import type { RunRowData } from "./useRunList";

const ROW = 46;
const HEAD = 32;
/** Distance from the end, in rows, at which older runs are requested. */
const AHEAD = 20;

const noTick = (): void => undefined;

interface Props {
  list: RunList<RunRowData>;
  /** The scroll position, restored on return. */
  place: { top: number };
  view: ListView;
  isStale: boolean;
  /** Ids of hidden columns. */
  hidden: readonly string[];
  /** The run at the keyboard cursor. */
  cursor: string | null;
  /** The selected rows; null if rows cannot be selected. */
  ticks: Ticks | null;
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
  onOlder: () => Promise<void>;
  /** The user is reading: no row may appear, disappear or move. */
  onReading: (reading: boolean) => void;
}

/** The runs: only visible rows are rendered, and more are loaded on scrolling. */
export function RunTable(props: Props) {
  const { list, place, view, isStale, hidden, cursor, ticks, sort, onSort, onOlder, onReading } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const tableId = useId();
  const shown = useMemo(() => columns.filter(({ id }) => !hidden.includes(id)), [hidden]);
  const virtualizer = useVirtualizer({
    count: view.ids.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
    getItemKey: (index) => view.ids[index] ?? index,
    scrollPaddingStart: HEAD,
    scrollPaddingEnd: HEAD,
  });
  const items = virtualizer.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (view.hasOlder && last >= view.ids.length - AHEAD) void onOlder();
  }, [view.hasOlder, last, view.ids.length, onOlder]);

  const at = cursor ? view.ids.indexOf(cursor) : -1;
  useEffect(() => {
    if (at < 0) return;
    virtualizer.scrollToIndex(at);
    // The focused element announces the row at the keyboard cursor.
    scroller.current?.focus({ preventScroll: true });
    // Only where the keyboard leads, and not where new runs push it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [cursor]);

  // A new list starts at the top; a restored one at its last position.
  useLayoutEffect(() => {
    scroller.current?.scrollTo({ top: place.top });
  }, [place]);

  const reading = useRef({ over: false, scrolled: false });
  const report = (change: Partial<{ over: boolean; scrolled: boolean }>): void => {
    reading.current = { ...reading.current, ...change };
    onReading(reading.current.over || reading.current.scrolled);
  };
  const template = [...(ticks ? ["20px"] : []), ...shown.map((column) => column.width)].join(" ");
  const isAll = !!ticks && ticks.ids.size > 0 && ticks.ids.size >= view.ids.length;
  return (
    <div
      ref={scroller}
      className={classes.scroller}
      role="grid"
      aria-label="Runs"
      aria-rowcount={view.hasOlder ? -1 : view.ids.length + 1}
      aria-busy={isStale}
      aria-activedescendant={at < 0 ? undefined : `${tableId}${at}`}
      tabIndex={0}
      data-testid="runs"
      data-ticks={!!ticks}
      style={{ "--columns": template } as React.CSSProperties}
      onScroll={({ currentTarget: { scrollTop } }) => {
        place.top = scrollTop;
        report({ scrolled: scrollTop > ROW / 2 });
      }}
    >
      <div role="row" className={classes.head}>
        {ticks ? (
          <span role="columnheader" className={classes.tick}>
            <label>
              <input
                type="checkbox"
                data-row
                aria-label="Select all loaded runs"
                checked={isAll}
                ref={(box) => {
                  if (box) box.indeterminate = ticks.ids.size > 0 && !isAll;
                }}
                onChange={ticks.toggleAll}
              />
            </label>
          </span>
        ) : null}
        {shown.map((column) => (
          <SortHead key={column.id} column={column} sort={sort} onSort={onSort} />
        ))}
      </div>
      <div
        role="rowgroup"
        className={isStale ? classes.stale : undefined}
        style={{ height: virtualizer.getTotalSize(), position: "relative" }}
        onPointerEnter={(event) => {
          if (event.pointerType === "mouse") report({ over: true });
        }}
        onPointerLeave={() => report({ over: false })}
      >
        {items.map((item) => {
          const id = view.ids[item.index];
          return id ? (
            <RunRow
              key={item.key}
              rowId={`${tableId}${item.index}`}
              id={id}
              list={list}
              index={item.index}
              top={item.start}
              columns={shown}
              isCursor={item.index === at}
              isTicked={ticks?.ids.has(id)}
              onTick={ticks?.toggle ?? noTick}
            />
          ) : null;
        })}
      </div>
      {view.hasOlder && view.synced && view.ids.length ? (
        <div className={classes.older}>
          {sort === undefined ? "Loading older runs…" : "Loading more runs…"}
        </div>
      ) : null}
    </div>
  );
}
