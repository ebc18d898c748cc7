import { useElementSize } from "@mantine/hooks";
import { useRef } from "react";
import { timeTicks } from "../ui/times";
import classes from "./Timeline.module.css";
import type { Timeline } from "./useTimeline";

/** Width of a tick label in pixels. */
const LABEL = 92;

/** The time axis above the bars. Dragging pans. */
export function TimelineAxis({ timeline: { zoom, mode, start, until, isLive } }: { timeline: Timeline }) {
  const { ref, width } = useElementSize();
  const grip = useRef<{ x: number } | null>(null);
  const { from, to } = zoom.span;
  const position = (at: number): number => ((at - from) / (to - from)) * 100;
  // Without ticks until the width is measured: a single one would be shown for a frame.
  const ticks = timeTicks(from, to, width && Math.max(1, Math.floor(width / LABEL)), mode, start);
  return (
    <div
      ref={ref}
      className={classes.axis}
      data-axis
      data-moves={!zoom.isWhole}
      onPointerDown={(event) => {
        grip.current = { x: event.clientX };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (!grip.current || !width) return;
        zoom.pan(((grip.current.x - event.clientX) * (to - from)) / width);
        grip.current = { x: event.clientX };
      }}
      onPointerUp={() => {
        grip.current = null;
      }}
      onDoubleClick={zoom.reset}
    >
      {ticks.map(({ at, label }) => (
        <span key={at} className={classes.tick} style={{ left: `${position(at)}%` }}>
          {label}
        </span>
      ))}
      {isLive && until >= from && until <= to ? (
        <span className={classes.nowLabel} style={{ left: `${position(until)}%` }}>
          now
        </span>
      ) : null}
    </div>
  );
}
