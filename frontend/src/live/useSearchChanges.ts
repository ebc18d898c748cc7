import { useLocation } from "@tanstack/react-router";
import { useCallback, useEffect, useRef } from "react";

declare module "@tanstack/react-router" {
  interface HistoryState {
    /** The entry was made by typing into a field: what is typed next changes it. */
    isTyped?: true;
  }
}

interface Change<Search> {
  search: Search;
  replace: boolean;
  state: { isTyped?: true };
}

/** Ways to change what stands behind the `?`. Each change is a step of the history, and what is typed is one. */
export function useSearchChanges<Search>(navigate: (change: Change<Search>) => void) {
  const isTyped = useLocation({ select: ({ state }) => state.isTyped ?? false });
  const latest = useRef({ navigate, isTyped });
  useEffect(() => {
    latest.current = { navigate, isTyped };
  });
  const change = useCallback(
    (search: Search) => latest.current.navigate({ search, replace: false, state: {} }),
    [],
  );
  const type = useCallback(
    (search: Search) =>
      latest.current.navigate({ search, replace: latest.current.isTyped, state: { isTyped: true } }),
    [],
  );
  return { change, type };
}
