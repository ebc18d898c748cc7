import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { Action } from "../actions/useForest";
import { CutMiddle } from "../ui/CutMiddle";
import { formatDuration } from "../ui/durations";
import { PhaseBadge } from "../ui/PhaseBadge";
import classes from "./ComparePage.module.css";
import { type Difference, KINDS, factorOf } from "./difference";

const ROW = 34;

interface Props {
  differences: readonly Difference<Action>[];
  /** The name of the action whose details are shown. */
  chosen: string | undefined;
  onChoose: (name: string) => void;
}

export const nameOf = ({ after, before }: Difference<Action>): string => (after ?? before)?.name ?? "";

const LABELS = new Map(KINDS.map(({ kind, label }) => [kind, label]));

/** Pairs of actions; only visible rows are rendered. */
export function PairList({ differences, chosen, onChoose }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: differences.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
    scrollPaddingStart: ROW,
  });
  return (
    <div
      ref={scroller}
      className={classes.list}
      role="table"
      aria-label="Actions of both runs"
      aria-rowcount={differences.length + 1}
      tabIndex={0}
    >
      <div role="row" className={`${classes.row} ${classes.top} faint`}>
        <span role="columnheader">Difference</span>
        <span role="columnheader">Action</span>
        <span role="columnheader">Before</span>
        <span role="columnheader">After</span>
        <span role="columnheader" title="Of the run time">
          Change
        </span>
      </div>
      <div style={{ height: virtualizer.getTotalSize(), position: "relative" }} role="rowgroup">
        {virtualizer.getVirtualItems().map(({ index, start }) => {
          const each = differences[index];
          if (!each) return null;
          const name = nameOf(each);
          return (
            <div
              key={`${each.before?.name ?? ""}\n${each.after?.name ?? ""}`}
              role="row"
              aria-rowindex={index + 2}
              aria-current={name === chosen || undefined}
              className={`${classes.row} ${classes.pair} ${name === chosen ? classes.chosen : ""}`}
              style={{ transform: `translateY(${start}px)` }}
              data-pair={name}
              data-kind={each.kind}
              onClick={() => onChoose(name)}
            >
              <span role="cell">{LABELS.get(each.kind)}</span>
              <span role="cell" className={classes.name}>
                <button
                  type="button"
                  className={classes.open}
                  title={each.byName ? name : `${each.before?.name ?? ""} → ${name}`}
                >
                  <CutMiddle text={name} />
                </button>
                {each.byName ? null : (
                  <span className="faint small nowrap" title={`Before: ${each.before?.name ?? ""}`}>
                    matched by place
                  </span>
                )}
              </span>
              <Outcome action={each.before} ms={each.beforeMs} />
              <Outcome action={each.after} ms={each.afterMs} />
              <span role="cell" className="number">
                {factorOf(each.beforeMs, each.afterMs)}
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Outcome({ action, ms }: { action: Action | null; ms: number | null }) {
  return (
    <span role="cell" className={classes.outcome}>
      {action ? <PhaseBadge phase={action.phase} small /> : <span className="faint">–</span>}
      {ms === null ? null : <span className="number">{formatDuration(ms)}</span>}
    </span>
  );
}
