import { useCallback, useState } from "react";

/** A part of time, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

/** The smallest part that can be looked at, in milliseconds. */
const CLOSEST = 20;

/** The span around `at` that shows `factor` times as much, within what there is. */
export function zoomed(span: Span, whole: Span, at: number, factor: number): Span | null {
  const width = Math.max(CLOSEST, (span.to - span.from) * factor);
  if (width >= whole.to - whole.from) return null;
  const share = (at - span.from) / (span.to - span.from);
  return moved({ from: at - share * width, to: at + (1 - share) * width }, whole, 0);
}

/** The span moved by so many milliseconds, as far as there is something. */
export function moved(span: Span, whole: Span, by: number): Span {
  const width = span.to - span.from;
  const from = Math.min(Math.max(span.from + by, whole.from), Math.max(whole.from, whole.to - width));
  return { from, to: from + width };
}

export interface Zoom {
  span: Span;
  isWhole: boolean;
  /** Look closer (`factor` below 1) or from further away; at the middle where no moment is given. */
  zoom: (factor: number, at?: number) => void;
  pan: (ms: number) => void;
  /** Show everything. */
  reset: () => void;
}

/** Which part of `whole` is shown. Everything, until somebody looks closer. */
export function useZoom(whole: Span): Zoom {
  const [part, setPart] = useState<Span | null>(null);
  const span = part ? moved(part, whole, 0) : whole;
  const zoom = useCallback(
    (factor: number, at?: number) =>
      setPart((part) => {
        const now = part ?? whole;
        return zoomed(now, whole, at ?? (now.from + now.to) / 2, factor);
      }),
    [whole],
  );
  const pan = useCallback((ms: number) => setPart((part) => (part ? moved(part, whole, ms) : part)), [whole]);
  const reset = useCallback(() => setPart(null), []);
  return { span, isWhole: !part, zoom, pan, reset };
}
