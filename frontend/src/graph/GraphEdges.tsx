import { memo } from "react";
import classes from "./GraphView.module.css";
import { edgeKey } from "./marks";
import type { PlacedGraph } from "./useGraph";

interface Props {
  placed: PlacedGraph;
  /** The edges on the critical path. */
  critical: ReadonlySet<string> | null;
  /** How many actions match, by node; null without a filter. */
  matches: ReadonlyMap<string, number> | null;
  /** The node whose edges stand out. */
  near: string | null;
}

/** The arrows of the graph. Nodes tell their relations in words, so these are hidden from screen readers. */
export const GraphEdges = memo(function GraphEdges({ placed, critical, matches, near }: Props) {
  const { graph, layout } = placed;
  return (
    <svg className={classes.edges} width={layout.width} height={layout.height} aria-hidden>
      <defs>
        {["plain", "near", "critical"].map((name) => (
          <marker
            key={name}
            id={`arrow-${name}`}
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 0.5L7.5 4L0 7.5z" className={classes[name]} data-head />
          </marker>
        ))}
      </defs>
      {graph.edges.map(({ from, to, count }, index) => {
        const look = critical?.has(edgeKey(from, to))
          ? "critical"
          : near === from || near === to
            ? "near"
            : "plain";
        const isDimmed = look === "plain" && matches && !(matches.get(from) && matches.get(to));
        return (
          <path
            key={edgeKey(from, to)}
            d={layout.paths[index]}
            className={`${classes.edge} ${classes[look]} ${isDimmed ? classes.dimmed : ""}`}
            strokeWidth={count > 1 ? 2.5 : 1.5}
            markerEnd={`url(#arrow-${look})`}
            data-edge={edgeKey(from, to)}
          />
        );
      })}
    </svg>
  );
});
