import { useLocation } from "@tanstack/react-router";
import { useCallback, useEffect, useRef } from "react";

declare module "@tanstack/react-router" {
  interface HistoryState {
    /** This history entry was created by typing: further typing replaces it. */
    isTyped?: true;
  }
}

interface Change<Search> {
  search: Search;
  replace: boolean;
  state: { isTyped?: true };
}

/** Functions that change the query string. Each change is a history entry; consecutive typing is one. */
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
