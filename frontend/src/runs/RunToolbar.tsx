import { Button, SegmentedControl } from "@mantine/core";
import { type ActionForest, useForestVersion } from "../actions/useForest";
import type { Lines } from "../actions/useLines";
import type { Timeline } from "../actions/useTimeline";
import type { TreeFilter } from "../actions/visible";
import { phasesIn } from "../actions/forest";
import { phaseStyle } from "../ui/phases";
import { SearchField } from "../ui/SearchField";
import classes from "./RunToolbar.module.css";
import { VIEWS, type View } from "./views";

interface Props {
  forest: ActionForest;
  filter: TreeFilter;
  lines: Lines;
  timeline: Timeline | null;
  critical: boolean;
  onCritical: (critical: boolean) => void;
  onFilter: (filter: TreeFilter) => void;
  view: View;
  onView: (view: View) => void;
}

/** The toolbar above a run's actions: search, phases, view and zoom. */
export function RunToolbar({
  forest,
  filter,
  lines,
  timeline,
  critical,
  onCritical,
  onFilter,
  view,
  onView,
}: Props) {
  useForestVersion(forest, 500, "version");
  const toggle = (phase: string): void =>
    onFilter({
      ...filter,
      phases: filter.phases.includes(phase)
        ? filter.phases.filter((other) => other !== phase)
        : [...filter.phases, phase],
    });
  return (
    <div className={classes.bar}>
      <SearchField
        label="Search the actions"
        placeholder="Search actions"
        value={filter.text}
        onChange={(text) => onFilter({ ...filter, text })}
      />
      <div className={classes.phases} role="group" aria-label="Only these phases">
        {phasesIn(forest).map(({ phase, count }) => (
          <button
            key={phase}
            type="button"
            className={classes.phase}
            aria-pressed={filter.phases.includes(phase)}
            style={{ "--phase": phaseStyle(phase).color } as React.CSSProperties}
            onClick={() => toggle(phase)}
          >
            <span aria-hidden className={classes.dot} />
            {phaseStyle(phase).label} <span className="number">{count.toLocaleString("en")}</span>
          </button>
        ))}
      </div>
      <span className={classes.space} />
      {timeline ? (
        <TimelineTools timeline={timeline} forest={forest} critical={critical} onCritical={onCritical} />
      ) : null}
      {view === "graph" || view === "table" ? null : (
        <Button.Group>
          <Button size="compact-sm" variant="default" onClick={() => lines.toggleAll(true)}>
            Expand all
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => lines.toggleAll(false)}>
            Collapse all
          </Button>
        </Button.Group>
      )}
      <SegmentedControl
        size="xs"
        aria-label="How to show the actions"
        value={view}
        onChange={onView}
        data={VIEWS.map(({ name, label }) => ({ value: name, label }))}
      />
    </div>
  );
}

interface ToolsProps {
  timeline: Timeline;
  forest: ActionForest;
  critical: boolean;
  onCritical: (critical: boolean) => void;
}

function TimelineTools({ timeline, forest, critical, onCritical }: ToolsProps) {
  const { zoom, zoomBy, critical: path } = timeline;
  return (
    <>
      {forest.hasDependencies ? (
        <Button
          size="compact-sm"
          variant={critical ? "light" : "default"}
          aria-pressed={critical}
          onClick={() => onCritical(!critical)}
          title="The critical path: the chain of actions that determined when the run ended"
        >
          Critical path{critical && path ? ` (${path.size})` : ""}
        </Button>
      ) : null}
      <Button.Group>
        <Button size="compact-sm" variant="default" aria-label="Zoom in" onClick={() => zoomBy(0.5)}>
          +
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          aria-label="Zoom out"
          disabled={zoom.isWhole}
          onClick={() => zoomBy(2)}
        >
          −
        </Button>
        <Button size="compact-sm" variant="default" disabled={zoom.isWhole} onClick={zoom.reset}>
          Fit
        </Button>
      </Button.Group>
    </>
  );
}
