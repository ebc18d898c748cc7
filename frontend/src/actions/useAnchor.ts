import { useLayoutEffect, useRef } from "react";
import type { Line } from "./visible";

/** The pointer events to forward. */
export interface Anchor {
  onPointerOver: (event: React.PointerEvent) => void;
  onPointerLeave: () => void;
}

/**
 * Keeps the line under the pointer in place when lines are added or removed above it. `height` is the height
 * of a line in pixels.
 */
export function useAnchor(
  scroller: React.RefObject<HTMLElement | null>,
  shown: readonly Line[],
  height: number,
): Anchor {
  const pointed = useRef<{ key: string; at: number } | null>(null);
  useLayoutEffect(() => {
    const { current } = pointed;
    if (!current || !scroller.current || shown[current.at]?.node.key === current.key) return;
    const at = shown.findIndex(({ node }) => node.key === current.key);
    if (at < 0) pointed.current = null;
    else {
      scroller.current.scrollBy(0, (at - current.at) * height);
      pointed.current = { key: current.key, at };
    }
  }, [scroller, shown, height]);
  return {
    onPointerOver: ({ target }) => {
      const row = (target as HTMLElement).closest("[role=row]");
      const at = Number(row?.getAttribute("aria-rowindex")) - 2;
      const key = shown[at]?.node.key;
      pointed.current = key === undefined ? null : { key, at };
    },
    onPointerLeave: () => {
      pointed.current = null;
    },
  };
}
