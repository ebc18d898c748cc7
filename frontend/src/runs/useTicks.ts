import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { announce } from "../ui/announce";

/** The runs that one abort names at most. */
export const MOST_TICKED = 1_000;

const NONE: ReadonlySet<string> = new Set();

/** The selected rows of the list. */
export interface Ticks {
  ids: ReadonlySet<string>;
  /** Selects a row or clears it; with `range`, all rows from the last one to it. */
  toggle: (index: number, range: boolean) => void;
  /** Selects all loaded rows, or none. */
  toggleAll: () => void;
  clear: () => void;
}

/** The ids of `shown` that are selected. They are forgotten when `key` changes. */
export function useTicks(shown: readonly string[], key: string): Ticks {
  const [ticked, setTicked] = useState({ key, ids: NONE });
  const ids = ticked.key === key ? ticked.ids : NONE;
  const latest = useRef({ shown, ids, key, anchor: null as string | null });
  useEffect(() => {
    latest.current = { ...latest.current, shown, ids, key };
  });
  const set = useCallback((next: ReadonlySet<string>) => {
    if (next.size > MOST_TICKED) {
      announce(`At most ${MOST_TICKED.toLocaleString("en")} runs can be selected`);
      return;
    }
    setTicked({ key: latest.current.key, ids: next });
  }, []);
  const toggle = useCallback(
    (index: number, range: boolean) => {
      const { shown, ids, anchor } = latest.current;
      const id = shown[index];
      if (id === undefined) return;
      const next = new Set(ids);
      const from = range && anchor !== null ? shown.indexOf(anchor) : -1;
      const isOn = from < 0 ? !ids.has(id) : ids.has(anchor ?? "");
      const [first, last] = from < 0 ? [index, index] : [Math.min(from, index), Math.max(from, index)];
      for (const each of shown.slice(first, last + 1)) {
        if (isOn) next.add(each);
        else next.delete(each);
      }
      latest.current.anchor = id;
      set(next);
    },
    [set],
  );
  const toggleAll = useCallback(() => {
    const { shown, ids } = latest.current;
    const some = shown.slice(0, MOST_TICKED);
    set(some.every((id) => ids.has(id)) ? NONE : new Set(some));
  }, [set]);
  const clear = useCallback(() => set(NONE), [set]);
  return useMemo(() => ({ ids, toggle, toggleAll, clear }), [ids, toggle, toggleAll, clear]);
}
