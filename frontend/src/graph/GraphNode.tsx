import { memo } from "react";
import { countsOf } from "../actions/forest";
import { RunTime } from "../actions/RunTime";
import { type ActionForest, type ActionNode, useNode } from "../actions/useForest";
import { CutMiddle } from "../ui/CutMiddle";
import { describeCounts, PhaseBar } from "../ui/PhaseBar";
import { phaseStyle } from "../ui/phases";
import classes from "./GraphView.module.css";
import type { Box } from "./layout";
import type { GraphNode as Node } from "./model";

interface Props {
  forest: ActionForest;
  node: Node;
  box: Box;
  /** Its dependencies and dependents in words. */
  relations: string;
  isSelected: boolean;
  isCursor: boolean;
  isCritical: boolean;
  /** How many of its actions match the filter; null without a filter. */
  matches: number | null;
  onOpen: (id: string) => void;
  onFold: (id: string) => void;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
}

/** A node of the graph. It renders only when its own data changes. */
export const GraphNode = memo(function GraphNode(props: Props) {
  const { line } = props.node;
  return line ? <LineNode {...props} line={line} /> : <Shape {...props} counts={props.node.counts} />;
});

function LineNode({ line, ...props }: Props & { line: ActionNode }) {
  useNode(props.forest, line);
  return <Shape {...props} counts={countsOf(line)} />;
}

interface ShapeProps extends Props {
  /** The phases of what it stands for, its own action excluded. */
  counts: readonly { phase: string; count: number }[];
}

function Shape(props: ShapeProps) {
  const { node, box, counts, relations, isSelected, isCursor, isCritical, matches, onOpen, onFold } = props;
  const { id, kind, isOpen, hasChildren, line } = node;
  const action = line?.action ?? null;
  const below = counts.reduce((sum, { count }) => sum + count, 0);
  const isOutline = kind === "missing" || !!action?.isPlaceholder;
  const states = [
    classes.node,
    isOpen ? classes.open : "",
    isSelected ? classes.selected : "",
    isCritical ? classes.critical : "",
    isOutline ? classes.outline : "",
    matches === 0 ? classes.dimmed : "",
  ];
  const what = titleOf(node, below);
  const phase = action ? phaseStyle(action.phase) : null;
  const label = [
    what,
    phase?.label ?? (kind === "missing" ? "not reported yet" : ""),
    below
      ? `${below.toLocaleString("en")} ${action ? "children" : "actions"}: ${describeCounts(counts)}`
      : "",
    isCritical ? "on the critical path" : "",
    matches !== null && matches > 0 && below ? `${matches.toLocaleString("en")} match` : "",
  ].filter(Boolean);
  const style = { left: box.x, top: box.y, width: box.width, height: box.height };
  return (
    <div
      className={states.join(" ")}
      style={{ ...style, "--phase": phase?.color ?? "var(--line)" } as React.CSSProperties}
      data-node={id}
      data-kind={kind}
      data-dimmed={matches === 0 || undefined}
      data-critical={isCritical || undefined}
    >
      <button
        type="button"
        className={classes.main}
        tabIndex={isCursor ? 0 : -1}
        aria-label={`${label.join(", ")}. ${relations}`.trim()}
        aria-expanded={hasChildren ? isOpen : undefined}
        aria-current={isSelected || undefined}
        onClick={() => onOpen(id)}
      >
        <span className={classes.title}>
          {phase ? (
            <span className={classes.sign} aria-hidden>
              {phase.sign}
            </span>
          ) : null}
          <CutMiddle text={what} />
          {action && action.attempts > 1 ? <span className="faint">×{action.attempts}</span> : null}
        </span>
        {isOpen ? null : <Details {...props} below={below} />}
      </button>
      {hasChildren ? (
        <button
          type="button"
          tabIndex={-1}
          className={classes.fold}
          aria-label={`${isOpen ? "Collapse" : "Expand"} ${what}`}
          onClick={() => onFold(id)}
        >
          {isOpen ? "−" : "+"}
        </button>
      ) : null}
    </div>
  );
}

function Details({ node, counts, below, runEnd }: ShapeProps & { below: number }) {
  const action = node.line?.action ?? null;
  return (
    <>
      <span className={`${classes.details} faint`}>
        {action ? (
          <>
            {phaseStyle(action.phase).label} · <RunTime action={action} runEnd={runEnd} />
          </>
        ) : node.kind === "missing" ? (
          "not reported yet"
        ) : (
          describeFailed(counts) || describeCounts(counts)
        )}
      </span>
      {below ? (
        <span className={classes.counts}>
          <PhaseBar counts={counts} label={`Children of ${node.name}`} />
          <span className="faint number">{below.toLocaleString("en")}</span>
        </span>
      ) : null}
    </>
  );
}

/** Failures first: they are what is looked for. */
function describeFailed(counts: readonly { phase: string; count: number }[]): string {
  const failed = counts.filter(({ phase }) => phase === "FAILED" || phase === "TIMED_OUT");
  return failed.length ? describeCounts(failed) : "";
}

function titleOf({ kind, name }: Node, below: number): string {
  const count = below.toLocaleString("en");
  if (kind === "rest") return `${count} more`;
  return name;
}
