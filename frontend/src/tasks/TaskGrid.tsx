import { useVirtualizer } from "@tanstack/react-virtual";
import { useNavigate } from "@tanstack/react-router";
import { useId, useLayoutEffect, useMemo, useRef, useState } from "react";
import { runParams } from "../live/paths";
import { useHotkeys } from "../ui/hotkeys";
import { CellDetails } from "./CellDetails";
import { type Grid, type Row, versionChanges } from "./grid";
import { GridHead } from "./GridHead";
import { GridLine } from "./GridLine";
import classes from "./TaskGrid.module.css";

const LINE = 26;
/** The height of the bars, the versions and the times. */
const HEAD = 128;

interface Props {
  grid: Grid;
  /** The rows that are shown. */
  rows: readonly Row[];
}

/** A place in the grid: a row, or -1 for the head; a run, or -1 for the names. */
export interface Place {
  row: number;
  column: number;
}

/** The actions of the last runs: a row for each step, a column for each run, the newest at the right. */
export function TaskGrid({ grid, rows }: Props) {
  const { runs } = grid;
  const scroller = useRef<HTMLDivElement>(null);
  const id = useId();
  const navigate = useNavigate();
  const [cursor, setCursor] = useState<Place | null>(null);
  const [pointed, setPointed] = useState<Place | null>(null);
  const changes = useMemo(() => versionChanges(runs), [runs]);
  const changed = useMemo(() => new Set(changes.slice(1).map(({ column }) => column)), [changes]);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 12,
    getItemKey: (index) => rows[index]?.key ?? index,
    scrollPaddingStart: HEAD,
    scrollPaddingEnd: LINE,
  });
  // The newest run is in sight, also when another one is added while it was.
  const isAtEnd = useRef(true);
  const newest = runs.at(-1)?.id;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element && isAtEnd.current) element.scrollLeft = element.scrollWidth;
  }, [newest]);

  const goTo = (row: number, column: number): void => {
    const place = {
      row: Math.max(-1, Math.min(rows.length - 1, row)),
      column: Math.max(0, Math.min(runs.length - 1, column)),
    };
    setCursor(place);
    setPointed(null);
    if (place.row >= 0) virtualizer.scrollToIndex(place.row);
    else if (scroller.current) scroller.current.scrollTop = 0;
    scroller.current?.querySelector(`[data-column="${place.column}"]`)?.scrollIntoView({
      block: "nearest",
      inline: "nearest",
    });
    scroller.current?.focus({ preventScroll: true });
  };
  const from = cursor ?? { row: 0, column: runs.length };
  const page = Math.max(1, Math.floor(((scroller.current?.clientHeight ?? HEAD) - HEAD) / LINE) - 1);
  useHotkeys([
    { keys: "ArrowLeft", what: "Earlier run", run: () => goTo(from.row, from.column - 1) },
    { keys: "ArrowRight", what: "Later run", run: () => goTo(from.row, from.column + (cursor ? 1 : -1)) },
    {
      keys: "ArrowDown",
      what: "Next action",
      run: () => goTo(from.row + (cursor ? 1 : 0), from.column - (cursor ? 0 : 1)),
    },
    {
      keys: "ArrowUp",
      what: "Previous action",
      run: () => goTo(from.row - (cursor ? 1 : 0), from.column - (cursor ? 0 : 1)),
    },
    { keys: "Home", what: "Oldest run", run: () => goTo(from.row, 0) },
    { keys: "End", what: "Newest run", run: () => goTo(from.row, runs.length - 1) },
    { keys: "PageDown", what: "Down a page", run: () => goTo(from.row + page, from.column) },
    { keys: "PageUp", what: "Up a page", run: () => goTo(from.row - page, from.column) },
    { keys: "Enter", what: "Open the action in that run", run: () => cursor && open(cursor) },
  ]);
  const open = ({ row, column }: Place): void => {
    const run = runs[column];
    const cell = rows[row]?.cells[column];
    if (!run || (row >= 0 && !cell)) return;
    void navigate({
      to: "/runs/$project/$domain/$name",
      params: runParams(run),
      search: { action: cell?.name },
    });
  };
  const placeOf = (target: EventTarget): Place | null => {
    const cell = (target as HTMLElement).closest<HTMLElement>("[data-column]");
    const row = cell?.closest<HTMLElement>("[data-row]");
    return cell && row ? { row: Number(row.dataset.row), column: Number(cell.dataset.column) } : null;
  };
  const shown = pointed ?? cursor;
  return (
    <div className={classes.frame}>
      <div
        ref={scroller}
        className={classes.scroller}
        role="grid"
        aria-label="Actions of the last runs"
        aria-rowcount={rows.length + 1}
        aria-colcount={runs.length + 1}
        aria-activedescendant={cursor ? `${id}${cursor.row}-${cursor.column}` : undefined}
        tabIndex={0}
        data-testid="grid"
        style={{ "--runs": runs.length } as React.CSSProperties}
        onScroll={({ currentTarget: { scrollLeft, scrollWidth, clientWidth } }) => {
          isAtEnd.current = scrollLeft + clientWidth >= scrollWidth - 2;
        }}
        onPointerOver={({ target }) => setPointed(placeOf(target))}
        onPointerLeave={() => setPointed(null)}
      >
        <GridHead runs={runs} changes={changes} changed={changed} id={id} cursor={cursor} />
        <div className={classes.lines} style={{ height: virtualizer.getTotalSize() }} role="presentation">
          {virtualizer.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row ? (
              <GridLine
                key={item.key}
                id={id}
                row={row}
                runs={runs}
                changed={changed}
                index={item.index}
                top={item.start}
                cursor={cursor?.row === item.index ? cursor.column : null}
              />
            ) : null;
          })}
        </div>
      </div>
      <CellDetails
        run={shown ? (runs[shown.column] ?? null) : null}
        row={shown ? (rows[shown.row] ?? null) : null}
        column={shown?.column ?? -1}
      />
    </div>
  );
}
