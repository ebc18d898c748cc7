import { useEffect, useRef } from "react";
import type { UseQueryExecute, UseQueryState } from "urql";

/** Milliseconds between two reads at the least. */
const PACE = 1_000;
/** How many times as long as a read took there is none: what is large is read less often. */
const REST = 10;

/**
 * Read a query anew whenever `version` grows, but at a pace that leaves the connection free: of many changes
 * at once the last one counts.
 */
export function useReread(
  version: number,
  { fetching, stale }: UseQueryState,
  reload: UseQueryExecute,
): void {
  const isBusy = fetching || stale;
  const last = useRef({ version, began: 0, ended: 0 });
  useEffect(() => {
    const { current } = last;
    if (isBusy) {
      current.began = Date.now();
      return () => {
        current.ended = Date.now();
      };
    }
    if (version === current.version) return;
    const rest = Math.max(PACE, (current.ended - current.began) * REST);
    const timer = setTimeout(
      () => {
        current.version = version;
        reload({ requestPolicy: "network-only" });
      },
      Math.max(0, current.ended + rest - Date.now()),
    );
    return () => clearTimeout(timer);
  }, [version, isBusy, reload]);
}
