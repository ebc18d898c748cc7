import { Button } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef } from "react";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { LogLine } from "./LogLine";
import type { Block, LogLines } from "./lines";
import classes from "./LogLines.module.css";
import { useFollowing } from "./useFollowing";

/** The height of a line that does not wrap, as in the style sheet; a million lines fit into any browser's limit. */
const LINE = 17;
const OMITTED = 34;

/** The line to scroll to; another object scrolls again. */
export interface Target {
  number: number;
}

interface Props {
  label: string;
  lines: LogLines;
  lineCount: number;
  term: string;
  target: Target | null;
  /** The line that was linked to or found. */
  marked: number | undefined;
  onMark: (number: number) => void;
  hrefOf: (number: number) => string;
  showsTimes: boolean;
  showsStreams: boolean;
  wraps: boolean;
  isFollowing: boolean;
  onFollow: (isFollowing: boolean) => void;
  /** Lines may still arrive. */
  isLive: boolean;
}

/** The lines of a log of any length: only visible blocks are rendered. */
export function LogList({ lines, target, isFollowing, onFollow, ...props }: Props) {
  const { label, lineCount, term, marked, onMark, hrefOf, showsTimes, showsStreams, wraps, isLive } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const mode = usePreference(timeMode);
  const { blocks } = lines;
  const virtualizer = useVirtualizer({
    count: blocks.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => heightOf(blocks[index]),
    getItemKey: (index) => blocks[index]?.key ?? index,
    overscan: 1,
  });
  const items = virtualizer.getVirtualItems();
  useEffect(() => lines.show(items[0]?.index ?? -1, items.at(-1)?.index ?? -1));
  useEffect(() => virtualizer.measure(), [virtualizer, wraps, showsTimes, showsStreams]);
  useStableTop(scroller, blocks);

  const reached = useRef<Target | null>(null);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !target || reached.current === target) return;
    const line = element.querySelector(`[data-line="${target.number}"]`);
    const omitted = blocks.find(
      ({ kind, first, last }) => kind === "omitted" && first <= target.number && target.number <= last,
    );
    if (line) {
      line.scrollIntoView({ block: "center", inline: "nearest" });
      reached.current = target;
    } else {
      const index = blocks.findIndex(({ last }) => last >= target.number);
      const block = blocks[index];
      const start = virtualizer.measurementsCache[index]?.start;
      if (!block || start === undefined) return;
      const within = omitted ? 0 : Math.max(0, target.number - block.first) * LINE;
      element.scrollTo({ top: start + within - element.clientHeight / 2 });
      if (omitted) reached.current = target;
    }
  });
  const following = useFollowing(scroller, isFollowing, onFollow, isLive);

  const digits = Math.max(3, String(lineCount).length);
  return (
    <div className={classes.frame}>
      <div
        ref={scroller}
        className={`${classes.scroller} ${wraps ? classes.wraps : ""}`}
        role="region"
        aria-label={label}
        tabIndex={0}
        data-testid="log"
        data-following={isFollowing}
        {...following}
      >
        <div
          role="list"
          aria-label="Lines"
          style={
            {
              height: virtualizer.getTotalSize(),
              position: "relative",
              "--digits": digits,
            } as React.CSSProperties
          }
        >
          {items.map(({ index, key, start }) => {
            const block = blocks[index];
            if (!block) return null;
            const loaded = lines.linesOf(block);
            return (
              <div
                key={key}
                ref={virtualizer.measureElement}
                data-index={index}
                role="none"
                className={classes.block}
                style={{ transform: `translateY(${start}px)` }}
              >
                {block.kind === "omitted" ? (
                  <div role="listitem" className={classes.omitted}>
                    {describeOmitted(block)}
                  </div>
                ) : loaded ? (
                  loaded.map((line) => (
                    <LogLine
                      key={line.number}
                      line={line}
                      term={term}
                      isMarked={line.number === marked}
                      times={showsTimes ? (mode === "utc" ? "utc" : "local") : null}
                      showsStream={showsStreams}
                      href={hrefOf(line.number)}
                      onMark={onMark}
                    />
                  ))
                ) : (
                  <div role="listitem" className={classes.loading} style={{ height: heightOf(block) }}>
                    <span>Loading lines…</span>
                  </div>
                )}
              </div>
            );
          })}
        </div>
      </div>
      {isLive && !isFollowing ? (
        <Button size="compact-sm" className={classes.more} onClick={() => onFollow(true)}>
          Follow new lines
        </Button>
      ) : null}
    </div>
  );
}

const heightOf = (block: Block | undefined): number =>
  block?.kind === "omitted" ? OMITTED : (block?.count ?? 0) * LINE;

export function describeOmitted({ count }: { count: number }): string {
  const lines = count === 1 ? "1 line is" : `${count.toLocaleString("en")} lines are`;
  return `${lines} missing here: the log was longer than the server keeps, or they never arrived`;
}

/** Keeps what is visible in place when blocks are added or dropped above it. */
function useStableTop(scroller: React.RefObject<HTMLDivElement | null>, blocks: readonly Block[]): void {
  const before = useRef(blocks);
  useLayoutEffect(() => {
    const [known, element] = [before.current, scroller.current];
    before.current = blocks;
    const oldFirst = known[0];
    const newFirst = blocks[0];
    if (!element || !oldFirst || !newFirst || oldFirst.key === newFirst.key) return;
    const added = blocks.findIndex(({ key }) => key === oldFirst.key);
    const dropped = known.findIndex(({ key }) => key === newFirst.key);
    const height = (of: readonly Block[], count: number): number =>
      of.slice(0, count).reduce((sum, block) => sum + heightOf(block), 0);
    if (added > 0) element.scrollBy({ top: height(blocks, added) });
    else if (dropped > 0) element.scrollBy({ top: -height(known, dropped) });
  });
}
