import { useCallback, useSyncExternalStore } from "react";

/** One clock for the page, so that all times tick together. */
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now = Date.now();
  for (const listener of [...listeners]) listener();
}

function listen(listener: () => void): () => void {
  if (!listeners.size) {
    now = Date.now();
    timer = setInterval(tick, 1_000);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) clearInterval(timer);
  };
}

const silent = (): (() => void) => () => undefined;

/**
 * The time in milliseconds since 1970, updated every second or every `step` milliseconds; frozen while not
 * ticking.
 */
export function useNow(ticks = true, step = 1_000): number {
  const read = useCallback(
    () => (ticks && listeners.size ? Math.floor(now / step) * step : Math.floor(Date.now() / step) * step),
    [ticks, step],
  );
  return useSyncExternalStore(ticks ? listen : silent, read);
}
