import { useEffect } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { formatDuration } from "../ui/durations";
import { phaseStyle } from "../ui/phases";
import { type AttemptTimes, type Bar, barsOf, placed } from "./bars";
import classes from "./Timeline.module.css";
import type { Action, ActionNode } from "./useForest";
import type { Timeline } from "./useTimeline";

const AttemptTimesOf = graphql(`
  query AttemptTimes($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      attemptHistory {
        attempt
        phase
        startedAt
        endedAt
      }
    }
  }
`);

interface Props {
  node: ActionNode;
  timeline: Timeline;
}

/**
 * The bars of an action: waiting and running, for all attempts; for a group, from first start to last end.
 */
export function TimelineBars({ node, timeline }: Props) {
  const { action } = node;
  if (!action) return <GroupBar node={node} timeline={timeline} />;
  if (action.attempts > 1) return <RetriedBars action={action} timeline={timeline} />;
  return (
    <Bars
      bars={barsOf(action, NONE, timeline.until, timeline.isOver)}
      name={action.name}
      timeline={timeline}
    />
  );
}

const NONE: readonly AttemptTimes[] = [];

/** Earlier attempts come from the action's events, which are read when the line becomes visible. */
function RetriedBars({ action, timeline }: { action: Action; timeline: Timeline }) {
  const { project, domain, name: runName } = timeline.run;
  const [{ data }, reload] = useQuery({
    query: AttemptTimesOf,
    variables: { id: { project, domain, runName, name: action.name } },
    requestPolicy: "cache-first",
  });
  const { attempts } = action;
  const known = data?.action?.attemptHistory ?? NONE;
  const isBehind = !known.some(({ attempt }) => attempt >= attempts - 1);
  const hasAnswer = !!data;
  useEffect(() => {
    if (hasAnswer && isBehind) reload({ requestPolicy: "network-only" });
  }, [attempts, isBehind, hasAnswer, reload]);
  return (
    <Bars
      bars={barsOf(action, known, timeline.until, timeline.isOver)}
      name={action.name}
      timeline={timeline}
    />
  );
}

function GroupBar({ node, timeline }: Props) {
  let from = Infinity;
  let to = -Infinity;
  for (const { action } of node.children) {
    if (!action) continue;
    from = Math.min(from, Date.parse(action.createdAt));
    to = Math.max(to, action.endedAt ? Date.parse(action.endedAt) : timeline.until);
  }
  const at = placed({ from, to }, timeline.zoom.span);
  const { color } = phaseStyle(worstOf(node.counts));
  return (
    <Row timeline={timeline}>
      {at ? (
        <span
          className={classes.groupBar}
          style={{ left: `${at.left}%`, width: `${at.width}%`, "--phase": color } as React.CSSProperties}
          title={`${node.name}: ${formatDuration(to - from)}`}
        />
      ) : null}
    </Row>
  );
}

const WORST = [
  "FAILED",
  "TIMED_OUT",
  "RUNNING",
  "PAUSED",
  "INITIALIZING",
  "WAITING_FOR_RESOURCES",
  "QUEUED",
  "ABORTED",
];

/** The most important phase among the members of a group. */
function worstOf(counts: ReadonlyMap<string, number>): string {
  return WORST.find((phase) => counts.has(phase)) ?? counts.keys().next().value ?? "QUEUED";
}

interface BarsProps {
  bars: readonly Bar[];
  name: string;
  timeline: Timeline;
}

function Bars({ bars, name, timeline }: BarsProps) {
  const isCritical = timeline.critical?.has(name) ?? false;
  return (
    <Row timeline={timeline}>
      {bars.map((bar, index) => {
        const at = placed(bar, timeline.zoom.span);
        if (!at) return null;
        const { color, label } = phaseStyle(bar.phase);
        return (
          <span
            key={index}
            className={`${classes.bar} ${classes[bar.kind] ?? ""} ${isCritical && bar.kind === "running" ? classes.critical : ""}`}
            style={{ left: `${at.left}%`, width: `${at.width}%`, "--phase": color } as React.CSSProperties}
            title={`${name}: ${bar.label} ${formatDuration(bar.to - bar.from)} (${label.toLowerCase()})${isCritical ? "\non the critical path" : ""}`}
            data-bar={bar.kind}
          />
        );
      })}
    </Row>
  );
}

function Row({ timeline, children }: { timeline: Timeline; children: React.ReactNode }) {
  const { from, to } = timeline.zoom.span;
  const now = timeline.isLive ? ((timeline.until - from) / (to - from)) * 100 : -1;
  return (
    <span className={classes.row}>
      {children}
      {now >= 0 && now <= 100 ? <span className={classes.now} style={{ left: `${now}%` }} /> : null}
    </span>
  );
}
