import { useCallback, useEffect, useState } from "react";
import { printSpan, readSpan } from "./address";

/** A time range in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

/** The shortest range that can be zoomed to, in milliseconds. */
const CLOSEST = 20;

/** The range around `at` scaled by `factor`, clamped to the whole. */
export function zoomed(span: Span, whole: Span, at: number, factor: number): Span | null {
  const width = Math.max(CLOSEST, (span.to - span.from) * factor);
  if (width >= whole.to - whole.from) return null;
  const share = (at - span.from) / (span.to - span.from);
  return moved({ from: at - share * width, to: at + (1 - share) * width }, whole, 0);
}

/** The range shifted by that many milliseconds, clamped to the whole. */
export function moved(span: Span, whole: Span, by: number): Span {
  const width = span.to - span.from;
  const from = Math.min(Math.max(span.from + by, whole.from), Math.max(whole.from, whole.to - width));
  return { from, to: from + width };
}

export interface Zoom {
  span: Span;
  isWhole: boolean;
  /** Zooms in (`factor` below 1) or out, around the middle by default. */
  zoom: (factor: number, at?: number) => void;
  pan: (ms: number) => void;
  /** Shows the whole range. */
  reset: () => void;
}

/** Milliseconds after which the visible part is in the address: not each step of a wheel. */
const WRITE_AFTER = 300;

/**
 * The visible part of `whole`; everything until the user zooms. `address` is the part in the address, which
 * `onAddress` changes.
 */
export function useZoom(
  whole: Span,
  address: string | undefined,
  onAddress: (address: string | undefined) => void,
): Zoom {
  const [part, setPart] = useState(() => readSpan(address));
  // The address that was read last, and the one that was written last, which is not read again.
  const [seen, setSeen] = useState({ read: address, written: address });
  if (address !== seen.read) {
    setSeen({ read: address, written: address });
    if (address !== seen.written) setPart(readSpan(address));
  }
  const wanted = printSpan(part);
  useEffect(() => {
    if (wanted === address || wanted === seen.written) return;
    const timer = setTimeout(() => {
      setSeen((seen) => ({ ...seen, written: wanted }));
      onAddress(wanted);
    }, WRITE_AFTER);
    return () => clearTimeout(timer);
  }, [wanted, address, seen.written, onAddress]);
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
