import { useEffect } from "react";
import type { Point } from "./layout";
import type { GraphCamera } from "./useCamera";

/** How far a press may move and still be a click, in pixels. */
const STILL = 4;

/** Dragging pans, two fingers and the wheel zoom, Shift and the wheel pan sideways. */
export function useCameraPointer(frame: React.RefObject<HTMLElement | null>, camera: GraphCamera): void {
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const fingers = new Map<number, Point>();
    let moved = 0;
    const place = ({ clientX, clientY }: MouseEvent): Point => {
      const { left, top } = element.getBoundingClientRect();
      return { x: clientX - left, y: clientY - top };
    };
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const [x, y] = [event.deltaX * lines, event.deltaY * lines];
      if (event.shiftKey || Math.abs(x) > Math.abs(y)) camera.panBy(-(x || y), 0);
      else camera.zoomBy(Math.exp(-Math.max(-100, Math.min(100, y)) / 300), place(event));
    };
    const down = (event: PointerEvent): void => {
      if (!fingers.size) moved = 0;
      if (event.button !== 0 || (event.target as HTMLElement).closest("[data-fixed]")) return;
      fingers.set(event.pointerId, place(event));
    };
    const move = (event: PointerEvent): void => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      fingers.set(event.pointerId, now);
      moved += Math.hypot(now.x - before.x, now.y - before.y);
      if (moved > STILL && !element.hasPointerCapture(event.pointerId))
        element.setPointerCapture(event.pointerId);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (!other) {
        camera.panBy(now.x - before.x, now.y - before.y);
        return;
      }
      const apart = (a: Point, b: Point): number => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
      camera.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
      camera.zoomBy(apart(now, other) / apart(before, other), {
        x: (now.x + other.x) / 2,
        y: (now.y + other.y) / 2,
      });
    };
    const up = (event: PointerEvent): void => {
      fingers.delete(event.pointerId);
    };
    // The click at the end of a drag opens nothing.
    const click = (event: MouseEvent): void => {
      if (moved <= STILL || event.detail === 0) return;
      event.stopPropagation();
      event.preventDefault();
    };
    element.addEventListener("wheel", wheel, { passive: false });
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    element.addEventListener("click", click, { capture: true });
    return () => {
      element.removeEventListener("wheel", wheel);
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("pointercancel", up);
      element.removeEventListener("click", click, { capture: true });
    };
  }, [frame, camera]);
}
