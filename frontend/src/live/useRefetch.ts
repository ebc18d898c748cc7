import { useEffect, useRef } from "react";
import type { UseQueryExecute, UseQueryState } from "urql";

/** Minimum milliseconds between two reads. */
const PACE = 1_000;
/** The pause after a read, as a multiple of its duration: large data is read less often. */
const REST = 10;

/**
 * Refetches a query when `version` increases, throttled so that the connection stays responsive; of several
 * changes the last one counts.
 */
export function useRefetch(
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
