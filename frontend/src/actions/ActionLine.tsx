import { memo } from "react";
import { CutMiddle } from "../ui/CutMiddle";
import { PhaseBadge } from "../ui/PhaseBadge";
import { PhaseBar } from "../ui/PhaseBar";
import { hasEnded } from "../ui/phases";
import { keepFromScrolling, openTab, wantsTab } from "../ui/tabs";
import { Time } from "../ui/Time";
import classes from "./ActionTree.module.css";
import { countsOf } from "./forest";
import { LastMetric } from "./LastMetric";
import { ProgressLine } from "./ProgressLine";
import { RunTime } from "./RunTime";
import { reasonOf } from "./SkipReason";
import { TimelineBars } from "./TimelineBars";
import { type Action, type ActionForest, useNode } from "./useForest";
import type { Timeline } from "./useTimeline";
import type { Line } from "./visible";

interface Props {
  /** The element id of the row, for aria-activedescendant. */
  id: string;
  forest: ActionForest;
  line: Line<Action>;
  index: number;
  top: number;
  isSelected: boolean;
  isCursor: boolean;
  onToggle: (key: string, isOpen: boolean) => void;
  onSelect: (name: string) => void;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  timeline: Timeline | null;
}

/** A line of the tree. It renders only when its own data changes. */
export const ActionLine = memo(function ActionLine(props: Props) {
  const { id, forest, line, index, top, isSelected, isCursor, onToggle, onSelect, runEnd, timeline } = props;
  const { node, depth, isOpen, isPath } = line;
  useNode(forest, node);
  const { action } = node;
  const isParent = node.children.length > 0;
  const activate = (event: React.MouseEvent): void => {
    if (wantsTab(event)) {
      if (action) openTab(addressOf(action.name));
    } else if (event.button !== 0) return;
    else if (action) onSelect(action.name);
    else onToggle(node.key, !isOpen);
  };
  const states = [
    classes.line,
    isSelected ? classes.selected : "",
    isCursor ? classes.cursor : "",
    isPath ? classes.path : "",
    action ? "" : classes.group,
  ];
  return (
    <div
      role="row"
      id={id}
      className={states.join(" ")}
      style={{ transform: `translateY(${top}px)` }}
      aria-level={depth + 1}
      aria-rowindex={index + 2}
      aria-expanded={isParent ? isOpen : undefined}
      aria-selected={isSelected}
      data-action={action?.name}
      data-group={action ? undefined : node.name}
      onClick={activate}
      onAuxClick={activate}
      onMouseDown={keepFromScrolling}
    >
      <span
        role="gridcell"
        className={classes.name}
        style={{ paddingLeft: `calc(8px + ${Math.min(depth, 12)} * var(--indent))` }}
      >
        {isParent ? (
          <button
            type="button"
            className={classes.fold}
            aria-label={isOpen ? `Collapse ${node.name}` : `Expand ${node.name}`}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(node.key, !isOpen);
            }}
          >
            <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden data-open={isOpen}>
              <path d="M3 1.5l4 3.5-4 3.5" fill="none" stroke="currentColor" strokeWidth="1.6" />
            </svg>
          </button>
        ) : (
          <span className={classes.fold} />
        )}
        {action ? <PhaseBadge phase={action.phase} reason={skipReason(action)} small /> : null}
        <CutMiddle text={node.name} />
        {action && action.type !== "TASK" ? (
          <span className={classes.tag}>{action.type.toLowerCase()}</span>
        ) : null}
        {action ? null : <span className={classes.count}>{node.children.length.toLocaleString("en")}</span>}
        {action?.isPlaceholder ? (
          <span className={classes.tag} title="No report had its details, such as its parent">
            not described
          </span>
        ) : null}
        {action && action.attempts > 1 ? (
          <span className={classes.attempts} title={`Attempt ${action.attempts}`}>
            ×{action.attempts}
          </span>
        ) : null}
      </span>
      {timeline ? (
        <span role="gridcell" className={classes.bars}>
          <TimelineBars node={node} timeline={timeline} />
        </span>
      ) : (
        <Cells line={line} runEnd={runEnd} />
      )}
    </div>
  );
});

/** The link that opens the action beside the tree. */
function addressOf(name: string): string {
  const address = new URL(window.location.href);
  address.searchParams.set("action", name);
  return address.href;
}

function Cells({ line: { node }, runEnd }: { line: Line<Action>; runEnd: string | null }) {
  const { action } = node;
  return (
    <>
      <span role="gridcell" className={classes.phase}>
        {action ? <PhaseBadge phase={action.phase} reason={skipReason(action)} /> : null}
      </span>
      <span role="gridcell" className={classes.below}>
        {node.total ? (
          <>
            <PhaseBar counts={countsOf(node)} label={`Children of ${node.name}`} />
            <span className="faint small number">{node.total.toLocaleString("en")}</span>
          </>
        ) : null}
      </span>
      <span role="gridcell" className={classes.right}>
        {action ? <RunTime action={action} runEnd={runEnd} /> : null}
      </span>
      <span role="gridcell" className={`${classes.started} faint`}>
        {action ? <Time value={action.startedAt} /> : null}
      </span>
      <span role="gridcell" className={`${classes.message} cut`}>
        {action ? <What action={action} /> : null}
      </span>
    </>
  );
}

/** Why it was skipped, if that was reported. */
const skipReason = ({ phase, error }: Action): string | undefined =>
  phase === "SKIPPED" && error ? reasonOf(error) : undefined;

/** The most important fact about an action beyond its phase. */
function What({ action }: { action: Action }) {
  if (action.error) {
    return (
      <span className={action.phase === "SKIPPED" ? "faint" : classes.error} title={reasonOf(action.error)}>
        {reasonOf(action.error)}
      </span>
    );
  }
  if (action.abort && action.abort.state !== "CONFIRMED") {
    return <span className={classes.warn}>abort unconfirmed</span>;
  }
  const progress = hasEnded(action.phase) ? null : action.progress;
  if (progress || action.metrics?.length) {
    return (
      <span className={classes.reported}>
        {progress ? <ProgressLine progress={progress} hasEnded={false} small /> : null}
        <LastMetric metrics={action.metrics ?? []} />
      </span>
    );
  }
  if (action.cacheStatus === "HIT") return <span className="faint">from the cache</span>;
  return action.functionName && action.functionName !== action.name ? (
    <span className="faint mono">{action.functionName}</span>
  ) : null;
}
