import { useCallback, useMemo, useRef } from "react";
import { useNow } from "../ui/clock";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import type { RunName } from "../live/paths";
import type { TimeMode } from "../ui/times";
import { criticalPath } from "./criticalPath";
import { type ActionForest, useForestVersion } from "./useForest";
import { type Zoom, useZoom } from "./useZoom";

type Anchor = () => number | undefined;

/** State shared by the lines of a timeline. */
export interface Timeline {
  run: RunName;
  zoom: Zoom;
  /** Zooms around the pointer if it is over the bars, otherwise around the bars. */
  zoomBy: (factor: number) => void;
  /** Sets the time that `zoomBy` keeps in place; called by the component that renders the bars. */
  anchorAt: (anchor: Anchor | null) => void;
  /** Where unfinished bars end: now, or the end of the run. */
  until: number;
  /** Whether the run has ended. */
  isOver: boolean;
  /** Whether the current time is shown. */
  isLive: boolean;
  /** When the run began, in milliseconds since 1970. */
  start: number;
  mode: TimeMode;
  /** The names of the actions on the critical path; null if it is not shown. */
  critical: ReadonlySet<string> | null;
}

interface Shown {
  isShown: boolean;
  showsCritical: boolean;
  /** The visible part, in the address. */
  zoom: string | undefined;
  onZoom: (zoom: string | undefined) => void;
}

/** The timeline of a run's actions; `runEnd` is null while the run is in progress. */
export function useTimeline(
  run: RunName,
  forest: ActionForest,
  runEnd: string | null,
  { isShown, showsCritical, zoom: address, onZoom }: Shown,
): Timeline {
  const version = useForestVersion(forest, 500, "version");
  const isOver = runEnd !== null;
  const isLive = isShown && !isOver && forest.unfinished > 0;
  const now = useNow(isLive);
  const mode = usePreference(timeMode);
  const until = isOver ? Date.parse(runEnd) : now;
  const start = Number.isFinite(forest.firstMs) ? forest.firstMs : now;
  const end = isLive || isOver ? Math.max(forest.lastMs, until) : forest.lastMs;
  // Padding at the end, so that the last bars do not touch the edge.
  const last = Math.max(start + 100, end + (end - start) * 0.015);
  const whole = useMemo(() => ({ from: start, to: last }), [start, last]);
  const zoom = useZoom(whole, address, onZoom);
  const anchor = useRef<Anchor | null>(null);
  const anchorAt = useCallback((next: Anchor | null) => {
    anchor.current = next;
  }, []);
  const { zoom: zoomAround } = zoom;
  const critical = useMemo(
    () => (isShown && showsCritical && forest.hasDependencies ? criticalPath(forest.actions()) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place
    [forest, isShown, showsCritical, version],
  );
  return useMemo(
    () => ({
      ...{ run, zoom, anchorAt, until, isOver, isLive, start, mode, critical },
      zoomBy: (factor) => zoomAround(factor, anchor.current?.()),
    }),
    [run, zoom, zoomAround, anchorAt, until, isOver, isLive, start, mode, critical],
  );
}
