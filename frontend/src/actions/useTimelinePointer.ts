import { useEffect, useRef } from "react";
import type { Timeline } from "./useTimeline";

const AXIS = "[data-axis]";

/**
 * Ctrl+wheel zooms; Shift+wheel or horizontal scrolling pans. Zooming by key or button keeps the time under
 * the pointer in place, or else a visible bar.
 */
export function useTimelinePointer(
  scroller: React.RefObject<HTMLDivElement | null>,
  timeline: Timeline | null,
): void {
  const latest = useRef(timeline);
  useEffect(() => {
    latest.current = timeline;
  });
  const anchorAt = timeline?.anchorAt;
  useEffect(() => {
    const element = scroller.current;
    const pointer: { x: number | null } = { x: null };
    const axisBox = (): DOMRect | undefined => element?.querySelector(AXIS)?.getBoundingClientRect();
    const timeAt = (x: number, { left, width }: DOMRect, { zoom: { span } }: Timeline): number =>
      span.from + ((x - left) / width) * (span.to - span.from);
    const turn = (event: WheelEvent): void => {
      const timeline = latest.current;
      const axis = axisBox();
      if (!timeline || !axis || event.clientX < axis.left) return;
      const { zoom } = timeline;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom.zoom(Math.exp(event.deltaY / 300), timeAt(event.clientX, axis, timeline));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        zoom.pan(((event.deltaX || event.deltaY) * (zoom.span.to - zoom.span.from)) / axis.width);
      }
    };
    const anchor = (): number | undefined => {
      const timeline = latest.current;
      const axis = axisBox();
      if (!timeline || !axis || !element) return undefined;
      if (pointer.x !== null && pointer.x >= axis.left) return timeAt(pointer.x, axis, timeline);
      const share = middleStart(element);
      const { from, to } = timeline.zoom.span;
      return share === undefined ? undefined : from + share * (to - from);
    };
    const move = ({ clientX }: PointerEvent): void => {
      pointer.x = clientX;
    };
    const leave = (): void => {
      pointer.x = null;
    };
    anchorAt?.(anchor);
    // React's listeners are passive, so they cannot prevent the browser's zoom.
    element?.addEventListener("wheel", turn, { passive: false });
    element?.addEventListener("pointermove", move);
    element?.addEventListener("pointerleave", leave);
    return () => {
      anchorAt?.(null);
      element?.removeEventListener("wheel", turn);
      element?.removeEventListener("pointermove", move);
      element?.removeEventListener("pointerleave", leave);
    };
  }, [scroller, anchorAt]);
}

/** The start of the middle visible bar, from 0 to 1. Bars of parents span their children. */
function middleStart(scroller: HTMLElement): number | undefined {
  const { top, bottom } = scroller.getBoundingClientRect();
  const bars = [...scroller.querySelectorAll<HTMLElement>("[data-bar]")].filter((bar) => {
    const box = bar.getBoundingClientRect();
    return box.bottom > top && box.top < bottom;
  });
  const leaves = bars.filter((bar) => !bar.closest("[aria-expanded]"));
  const starts = (leaves.length ? leaves : bars)
    .map(({ style }) => parseFloat(style.left) / 100)
    .sort((a, b) => a - b);
  return starts[Math.floor(starts.length / 2)];
}
