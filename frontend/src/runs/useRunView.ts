import { getRouteApi, useLocation } from "@tanstack/react-router";
import { useCallback } from "react";
import type { ActionTab } from "../actions/address";

const route = getRouteApi("/runs/$project/$domain/$name");

/** What of a run is shown, as the address has it, and functions that change it: each change is a step of Back. */
export function useRunView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const isTyped = useLocation({ select: ({ state }) => state.isTyped ?? false });
  const onSelect = useCallback(
    (action: string | undefined) => void navigate({ search: (before) => ({ ...before, action }) }),
    [navigate],
  );
  // Zooming is one step, as typing is.
  const onZoom = useCallback(
    (zoom: string | undefined) =>
      void navigate({
        search: (before) => ({ ...before, zoom }),
        replace: isTyped,
        state: { isTyped: true },
      }),
    [navigate, isTyped],
  );
  return {
    search,
    critical: search.critical ?? false,
    onSelect,
    onZoom,
    onTab: (tab: ActionTab) =>
      void navigate({ search: (before) => ({ ...before, tab: tab === "attempts" ? undefined : tab }) }),
    onCritical: (critical: boolean) =>
      void navigate({ search: (before) => ({ ...before, critical: critical || undefined }) }),
  };
}
