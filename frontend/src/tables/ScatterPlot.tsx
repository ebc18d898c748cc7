import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { phaseStyle } from "../ui/phases";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import type { TableSearch } from "./address";
import { PlotAxes } from "./PlotAxes";
import { columnOf } from "./columns";
import type { Found } from "./found";
import { createPlot, dataOf, type Drawn, formatValue } from "./plot";
import { nearest, pointsOf } from "./points";
import classes from "./ScatterPlot.module.css";
import type { Rows } from "./useRows";

interface Props {
  table: Rows;
  found: readonly Found[];
  search: TableSearch;
  units: ReadonlyMap<string, string | null>;
  selected: string | undefined;
  onSearch: (change: TableSearch) => void;
  onSelect: (name: string) => void;
}

/** How far from a point the pointer reaches it, in pixels. */
const REACH = 14;

/** The rows of the table as points by two columns. */
export function ScatterPlot({ table, found, search, units, selected, onSearch, onSelect }: Props) {
  const { rows, context } = table;
  const x = useMemo(() => columnOf(search.x ?? "", units.get(search.x ?? "")), [search.x, units]);
  const y = useMemo(() => columnOf(search.y ?? "", units.get(search.y ?? "")), [search.y, units]);
  const [logX, logY] = [!!search.log?.includes("x"), !!search.log?.includes("y")];
  const points = useMemo(
    () => (x && y ? pointsOf(rows, x, y, context, { x: logX, y: logY }) : []),
    [rows, x, y, context, logX, logY],
  );
  const [name, setName] = useState<string | null>(null);
  const at = name === null ? -1 : points.findIndex((point) => point.name === name);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const mode = usePreference(timeMode);
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef<Drawn>({ points, at, selected });
  useEffect(() => {
    const isNew = drawn.current.points !== points;
    drawn.current = { points, at, selected };
    if (isNew) plot.current?.setData(dataOf(points));
    else plot.current?.redraw(false);
  }, [points, at, selected]);
  useEffect(() => {
    const element = place.current;
    if (!element || !x || !y) return;
    const axes = { x, y, log: { x: logX, y: logY }, mode };
    const made = createPlot(element, element.clientWidth, axes, () => drawn.current);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: made.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // The colours are those of the scheme.
  }, [x, y, logX, logY, mode, scheme]);

  const pointAt = (event: React.PointerEvent | React.MouseEvent): number => {
    const current = plot.current;
    if (!current) return -1;
    const { left, top } = current.over.getBoundingClientRect();
    return nearest(
      points,
      { left: event.clientX - left, top: event.clientY - top },
      (point) => ({ left: current.valToPos(point.x, "x"), top: current.valToPos(point.y, "y") }),
      REACH,
    );
  };
  const pressed = useRef<{ x: number; y: number } | null>(null);
  const step = (by: number): void => {
    const next = points[Math.max(0, Math.min(points.length - 1, at < 0 ? 0 : at + by))];
    if (next) setName(next.name);
  };
  const point = points[at];
  const described =
    point && x && y
      ? `${point.name}: ${x.title} ${formatValue(x, point.x)}, ${y.title} ${formatValue(y, point.y)}, ${phaseStyle(point.phase).label}`
      : null;
  const left = rows.length - points.length;
  return (
    <section className={classes.plot} aria-label="Scatter plot">
      <PlotAxes found={found} search={search} onSearch={onSearch} />
      <div
        ref={place}
        className={classes.canvas}
        role="group"
        tabIndex={0}
        data-testid="plot"
        data-points={points.length}
        data-hit={point ? "true" : undefined}
        aria-label={`${points.length} points of the rows of the table. Arrow keys move between points, Enter opens one.`}
        onPointerMove={(event) => setName(points[pointAt(event)]?.name ?? null)}
        onPointerLeave={() => setName(null)}
        onPointerDown={({ clientX, clientY }) => {
          pressed.current = { x: clientX, y: clientY };
        }}
        onClick={(event) => {
          // Dragging zooms.
          const from = pressed.current;
          if (from && Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4) return;
          const hit = points[pointAt(event)];
          if (hit) onSelect(hit.name);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowRight" || event.key === "ArrowDown") step(1);
          else if (event.key === "ArrowLeft" || event.key === "ArrowUp") step(-1);
          else if (event.key === "Enter" && point) onSelect(point.name);
          else return;
          event.preventDefault();
        }}
      />
      <p className={classes.said} role="status">
        {described ?? (
          <span className="faint">
            {points.length.toLocaleString("en")} points
            {left > 0
              ? `; without ${logX || logY ? "positive " : ""}numbers in both columns: ${left.toLocaleString("en")} rows`
              : ""}
            {" · drag to zoom, double-click to see all"}
          </span>
        )}
      </p>
    </section>
  );
}
