import { useMemo } from "react";
import { useNow } from "../ui/clock";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import type { RunName } from "../live/paths";
import type { TimeMode } from "../ui/times";
import { criticalPath } from "./criticalPath";
import { type ActionForest, useForestVersion } from "./useForest";
import { type Zoom, useZoom } from "./useZoom";

/** What the lines of a timeline have in common. */
export interface Timeline {
  run: RunName;
  zoom: Zoom;
  now: number;
  /** Whether the run goes on, so that there is a now to show. */
  isLive: boolean;
  /** When the run began, in milliseconds since 1970. */
  start: number;
  mode: TimeMode;
  /** The names of the actions that decided when the run ended; null where that is not shown. */
  critical: ReadonlySet<string> | null;
}

export function useTimeline(
  run: RunName,
  forest: ActionForest,
  isShown: boolean,
  showsCritical: boolean,
): Timeline {
  const version = useForestVersion(forest, 500, "version");
  const isLive = isShown && forest.unfinished > 0;
  const now = useNow(isLive);
  const mode = usePreference(timeMode);
  const start = Number.isFinite(forest.firstMs) ? forest.firstMs : now;
  const end = isLive ? Math.max(forest.lastMs, now) : forest.lastMs;
  // A little room at the end, so that the last bars do not stick to the edge.
  const last = Math.max(start + 100, end + (end - start) * 0.015);
  const whole = useMemo(() => ({ from: start, to: last }), [start, last]);
  const zoom = useZoom(whole);
  const critical = useMemo(
    () => (isShown && showsCritical && forest.hasDependencies ? criticalPath(forest.actions()) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place
    [forest, isShown, showsCritical, version],
  );
  return useMemo(
    () => ({ run, zoom, now, isLive, start, mode, critical }),
    [run, zoom, now, isLive, start, mode, critical],
  );
}
