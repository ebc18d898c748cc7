import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useId, useMemo, useRef } from "react";
import { EmptyNotice, LoadingNotice } from "../ui/notices";
import { ActionLine } from "./ActionLine";
import classes from "./ActionTree.module.css";
import { TimelineAxis } from "./TimelineAxis";
import { useAnchor } from "./useAnchor";
import type { ActionForest } from "./useForest";
import type { Timeline } from "./useTimeline";
import type { Lines } from "./useLines";
import { useTimelinePointer } from "./useTimelinePointer";
import { useTreeKeys } from "./useTreeKeys";

const LINE = 32;

interface Props {
  forest: ActionForest;
  lines: Lines;
  /** The name of the action shown beside the tree. */
  selected: string | undefined;
  onSelect: (name: string) => void;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  /** If set, lines show the timeline instead of details. */
  timeline: Timeline | null;
  children?: ReactNode;
}

/** The actions of a run as a tree of any size: only visible lines are rendered. */
export function ActionTree({ forest, lines, selected, onSelect, runEnd, timeline, children }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const id = useId();
  const { shown } = lines;
  const virtualizer = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 12,
    getItemKey: (index) => shown[index]?.node.key ?? index,
    // Lines scroll beneath the sticky header.
    scrollPaddingStart: LINE,
    scrollPaddingEnd: LINE,
  });
  const at = useMemo(
    () => (lines.cursor ? shown.findIndex(({ node }) => node.key === lines.cursor) : -1),
    [shown, lines.cursor],
  );
  const follow = useRef<string | null>(null);
  const { synced } = forest;
  useEffect(() => {
    if (follow.current === lines.cursor) return;
    // Until the snapshot is complete, lines may still be inserted above the target.
    if (synced) follow.current = lines.cursor;
    if (at >= 0) virtualizer.scrollToIndex(at);
  }, [at, lines.cursor, synced, virtualizer]);
  useTreeKeys({ lines, at, onSelect, scroller });
  useTimelinePointer(scroller, timeline);
  const anchor = useAnchor(scroller, shown, LINE);

  return (
    <div className={classes.frame}>
      <div
        ref={scroller}
        className={`${classes.scroller} ${timeline ? classes.timed : ""}`}
        role="treegrid"
        aria-label={timeline ? "Timeline of the actions" : "Actions"}
        aria-rowcount={shown.length + 1}
        aria-activedescendant={at < 0 ? undefined : `${id}${at}`}
        tabIndex={0}
        data-testid="tree"
        data-synced={synced}
        onWheel={() => {
          follow.current = lines.cursor;
        }}
      >
        <div role="row" className={classes.head}>
          <span role="columnheader" className={classes.name}>
            Action
          </span>
          {timeline ? (
            <span role="columnheader" className={classes.axis}>
              <TimelineAxis timeline={timeline} />
            </span>
          ) : (
            <>
              <span role="columnheader" className={classes.phase}>
                Phase
              </span>
              <span role="columnheader" className={classes.below}>
                Children
              </span>
              <span role="columnheader" className={classes.right} title="From start to end, without waiting">
                Run time
              </span>
              <span role="columnheader" className={classes.started}>
                Started
              </span>
              <span role="columnheader" className={classes.message}>
                Message
              </span>
            </>
          )}
        </div>
        <div
          style={{ height: virtualizer.getTotalSize(), position: "relative" }}
          role="presentation"
          {...anchor}
        >
          {virtualizer.getVirtualItems().map((item) => {
            const line = shown[item.index];
            return line ? (
              <ActionLine
                key={item.key}
                id={`${id}${item.index}`}
                forest={forest}
                line={line}
                index={item.index}
                top={item.start}
                isSelected={line.node.action?.name === selected && selected !== undefined}
                isCursor={item.index === at}
                onToggle={lines.toggle}
                onSelect={onSelect}
                runEnd={runEnd}
                timeline={timeline}
              />
            ) : null;
          })}
        </div>
      </div>
      <div className={classes.notice}>
        {!shown.length && !synced ? <LoadingNotice what="actions" /> : null}
        {!shown.length && synced ? (
          <EmptyNotice title={lines.isFiltered ? "No action matches" : "This run has no actions"}>
            {lines.isFiltered ? "Change the search or the phases above." : null}
          </EmptyNotice>
        ) : null}
      </div>
      {children}
    </div>
  );
}
