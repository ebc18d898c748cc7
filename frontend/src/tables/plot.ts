import uPlot from "uplot";
import { formatExactly } from "../ui/durations";
import { formatMeasured } from "../ui/numbers";
import { hasEnded, phaseStyle } from "../ui/phases";
import { type TimeMode, timeTicks } from "../ui/times";
import { type Column } from "./columns";
import type { Point } from "./points";

/** What a plot is drawn from. */
export interface Drawn {
  points: readonly Point[];
  /** The index of the point at the pointer or the keyboard cursor; -1 for none. */
  at: number;
  selected: string | undefined;
}

const HEIGHT = 230;
const RADIUS = 3.5;
/** More points are drawn as squares, which is faster. */
const MANY = 5_000;

/** The text of a value of a column. */
export function formatValue({ kind, unit }: Column, value: number): string {
  if (kind === "duration") return formatExactly(Math.round(value));
  return kind === "progress" ? formatMeasured(value, "%") : formatMeasured(value, unit);
}

/** The title of an axis, with its unit where the labels do not have it. */
const axisTitle = ({ title, kind, unit }: Column): string =>
  kind === "number" && unit && unit !== "1" ? `${title} (${unit})` : title;

/** The colour of a CSS variable now. */
function colour(of: string): string {
  const name = /--[\w-]+/.exec(of)?.[0] ?? of;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
}

interface Axes {
  x: Column;
  y: Column;
  log: { x: boolean; y: boolean };
  mode: TimeMode;
}

/** A plot of points in an element; `read` returns what to draw. */
export function createPlot(element: HTMLElement, width: number, axes: Axes, read: () => Drawn): uPlot {
  const axis = (side: "x" | "y"): uPlot.Axis => {
    const column = axes[side];
    const isTime = column.kind === "time";
    const label = (value: number): string => formatValue(column, value);
    return {
      scale: side,
      label: axisTitle(column),
      labelSize: 20,
      size: side === "y" ? 78 : 34,
      stroke: colour("--text"),
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
      space: side === "y" ? 34 : 90,
      ...(isTime
        ? {
            splits: (_, __, min, max) => timeTicks(min, max, 6, axes.mode, min).map(({ at }) => at),
            values: (plot) => {
              const { min = 0, max = 0 } = plot.scales[side] as { min?: number; max?: number };
              return timeTicks(min, max, 6, axes.mode, min).map(({ label }) => label);
            },
          }
        : { values: (_, splits) => splits.map((value) => (Number.isFinite(value) ? label(value) : "")) }),
    };
  };
  return new uPlot(
    {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: true, y: true, uni: 30 }, x: false, y: false },
      scales: {
        x: { time: false, distr: distribution(axes.log.x), ...(axes.log.x ? {} : { range: padded }) },
        y: { distr: distribution(axes.log.y) },
      },
      axes: [axis("x"), axis("y")],
      series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
      hooks: { draw: [(plot) => draw(plot, read())] },
    },
    dataOf(read().points),
    element,
  );
}

// The numbers of an enum that exists in types only.
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
const DISTRIBUTIONS: Record<"linear" | "logarithmic", uPlot.Scale.Distr> = { linear: 1, logarithmic: 3 };
const distribution = (isLog: boolean) => DISTRIBUTIONS[isLog ? "logarithmic" : "linear"];

/** A range with room at both ends, so that no point is on an edge. */
function padded(_: uPlot, min: number | null, max: number | null): [number, number] {
  const [from, to] = [min ?? 0, max ?? 1];
  const room = (to - from) * 0.03 || Math.abs(from) * 0.1 || 1;
  return [from - room, to + room];
}

export function dataOf(points: readonly Point[]): uPlot.AlignedData {
  return [points.map(({ x }) => x), points.map(({ y }) => y)];
}

/** The points by phase: what failed as crosses, what has not ended as rings. */
function draw(plot: uPlot, { points, at, selected }: Drawn): void {
  const { ctx } = plot;
  const ratio = uPlot.pxRatio;
  const radius = RADIUS * ratio;
  const colours = new Map<string, string>();
  ctx.save();
  ctx.beginPath();
  const { left: atLeft, top: atTop, width, height } = plot.bbox;
  // Marks on the edge are drawn whole.
  ctx.rect(atLeft - 2 * radius, atTop - 2 * radius, width + 4 * radius, height + 4 * radius);
  ctx.clip();
  ctx.lineWidth = 1.8 * ratio;
  const mark = ({ x, y, phase }: Point, size: number): void => {
    let shade = colours.get(phase);
    if (shade === undefined) colours.set(phase, (shade = colour(phaseStyle(phase).color)));
    ctx.strokeStyle = ctx.fillStyle = shade;
    const [left, top] = [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
    ctx.beginPath();
    if (phase === "FAILED" || phase === "TIMED_OUT") {
      ctx.moveTo(left - size, top - size);
      ctx.lineTo(left + size, top + size);
      ctx.moveTo(left + size, top - size);
      ctx.lineTo(left - size, top + size);
      ctx.stroke();
    } else if (points.length > MANY && hasEnded(phase)) {
      ctx.fillRect(left - size, top - size, 2 * size, 2 * size);
    } else {
      ctx.arc(left, top, size, 0, 2 * Math.PI);
      if (hasEnded(phase)) ctx.fill();
      else ctx.stroke();
    }
  };
  for (const point of points) mark(point, radius);
  points.forEach((point, index) => {
    if (index !== at && point.name !== selected) return;
    mark(point, radius * 1.5);
    ctx.strokeStyle = colour("--text");
    ctx.beginPath();
    ctx.arc(
      plot.valToPos(point.x, "x", true),
      plot.valToPos(point.y, "y", true),
      radius * 2.4,
      0,
      2 * Math.PI,
    );
    ctx.stroke();
  });
  ctx.restore();
}
