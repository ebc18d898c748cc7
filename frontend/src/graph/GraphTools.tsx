import { Button } from "@mantine/core";
import classes from "./GraphView.module.css";
import type { Graph } from "./model";
import type { GraphCamera } from "./useCamera";
import type { FoldsControl } from "./useFolds";

interface Props {
  camera: GraphCamera;
  folds: FoldsControl;
  graph: Graph | null;
  /** What is folded, in words. */
  folded: string;
  /** How many actions match, by node; null without a filter. */
  matches: ReadonlyMap<string, number> | null;
  critical: boolean;
  /** Null without dependencies. */
  onCritical: ((critical: boolean) => void) | null;
}

/** The toolbar of the graph. */
export function GraphTools({ camera, folds, graph, folded, matches, critical, onCritical }: Props) {
  const found = matches && graph ? matchesIn(graph, matches) : null;
  return (
    <div className={classes.tools}>
      <span className={`${classes.folded} faint small`} role="status">
        {[
          found,
          folded,
          graph && !graph.edges.length && graph.nodes.size ? "No action depends on another." : null,
        ]
          .filter(Boolean)
          .join(" ")}
      </span>
      {onCritical ? (
        <Button
          size="compact-sm"
          variant={critical ? "light" : "default"}
          aria-pressed={critical}
          onClick={() => onCritical(!critical)}
          title="The critical path: the chain of actions that determined when the run ended"
        >
          Critical path
        </Button>
      ) : null}
      <Button.Group>
        <Button
          size="compact-sm"
          variant="default"
          title="Expand what is drawn by one level"
          onClick={() => graph && folds.toggleAll(graph, true)}
        >
          Expand all
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => graph && folds.toggleAll(graph, false)}>
          Collapse all
        </Button>
      </Button.Group>
      <Button.Group>
        <Button size="compact-sm" variant="default" aria-label="Zoom in" onClick={() => camera.zoomBy(1.4)}>
          +
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          aria-label="Zoom out"
          onClick={() => camera.zoomBy(1 / 1.4)}
        >
          −
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => camera.fit()}>
          Fit
        </Button>
      </Button.Group>
    </div>
  );
}

function matchesIn({ nodes }: Graph, matches: ReadonlyMap<string, number>): string {
  let found = 0;
  for (const { id, parent } of nodes.values()) if (parent === null) found += matches.get(id) ?? 0;
  return found
    ? `${found.toLocaleString("en")} ${found === 1 ? "action matches" : "actions match"}.`
    : "No action matches.";
}
