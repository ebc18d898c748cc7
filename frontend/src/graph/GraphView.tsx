import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { ActionForest } from "../actions/useForest";
import { type TreeFilter, isFiltering } from "../actions/visible";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { GraphEdges } from "./GraphEdges";
import { GraphNode } from "./GraphNode";
import { GraphTools } from "./GraphTools";
import classes from "./GraphView.module.css";
import { describeFolding, describeRelations, relationsOf } from "./marks";
import { useCamera } from "./useCamera";
import { useFolds } from "./useFolds";
import { useGraph } from "./useGraph";
import { useGraphKeys } from "./useGraphKeys";
import { useCriticalMarks, useMatchMarks } from "./useMarks";

interface Props {
  forest: ActionForest;
  filter: TreeFilter;
  /** The name of the action shown beside the graph. */
  selected: string | undefined;
  onSelect: (name: string) => void;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  critical: boolean;
  onCritical: (critical: boolean) => void;
}

/** The actions of a run as a graph of their dependencies, folded so that any number of them can be drawn. */
export function GraphView({ forest, filter, selected, onSelect, runEnd, critical, onCritical }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const folds = useFolds(selected);
  const { placed, error } = useGraph(forest, folds.now);
  const camera = useCamera(frame, content, placed?.layout ?? null);
  const [cursor, setCursor] = useState<string | null>(null);
  const graph = placed?.graph ?? null;
  const isFiltered = isFiltering(filter);
  const matches = useMatchMarks(graph, forest, isFiltered ? filter : null);
  const path = useCriticalMarks(graph, forest, critical);
  const relations = useMemo(() => (graph ? relationsOf(graph) : null), [graph]);
  const chosen = selected === undefined ? undefined : forest.find(selected)?.key;
  const [first] = graph?.nodes.keys() ?? [];
  const at = cursor !== null && graph?.nodes.has(cursor) ? cursor : (chosen ?? first ?? null);

  // What was chosen or toggled stays where it is when the layout changes, and is in sight when it is new.
  const before = useRef<{ placed: typeof placed; chosen: string | undefined }>({
    placed: null,
    chosen: undefined,
  });
  useEffect(() => {
    const last = before.current;
    before.current = {
      placed,
      chosen: placed && chosen && placed.layout.boxes[chosen] ? chosen : last.chosen,
    };
    if (!placed) return;
    const [old, now] = at === null ? [] : [last.placed?.layout.boxes[at], placed.layout.boxes[at]];
    if (old && now && last.placed !== placed) camera.follow(old, now);
    const box = chosen === undefined ? undefined : placed.layout.boxes[chosen];
    if (box && last.chosen !== chosen) camera.reveal(box);
  }, [placed, at, chosen, camera]);

  const { toggle, showMore } = folds;
  const fold = useCallback(
    (id: string) => {
      const node = graph?.nodes.get(id);
      if (!node?.hasChildren) return;
      setCursor(id);
      toggle(id, !node.isOpen);
    },
    [graph, toggle],
  );
  const openNode = useCallback(
    (id: string) => {
      const node = graph?.nodes.get(id);
      setCursor(id);
      if (node?.line?.action) onSelect(node.line.action.name);
      else if (node?.kind === "rest") showMore(node.parent);
      else fold(id);
    },
    [graph, onSelect, showMore, fold],
  );
  useGraphKeys({ placed, at, setCursor, camera, fold, content });
  return (
    <div className={classes.view}>
      <GraphTools
        camera={camera}
        folds={folds}
        graph={graph}
        folded={graph ? describeFolding(graph) : ""}
        matches={isFiltered ? matches : null}
        critical={critical}
        onCritical={forest.hasDependencies ? onCritical : null}
      />
      <div
        ref={frame}
        className={classes.frame}
        role="group"
        aria-label={`Graph of the actions, ${graph?.nodes.size ?? 0} nodes, ${graph?.edges.length ?? 0} edges`}
        data-testid="graph"
        data-synced={forest.synced && !!placed}
      >
        <div ref={content} className={classes.content}>
          {placed ? (
            <GraphEdges
              placed={placed}
              critical={path?.edges ?? null}
              matches={matches}
              near={cursor ?? chosen ?? null}
            />
          ) : null}
          {placed
            ? [...placed.graph.nodes.values()].map((node) => {
                const box = placed.layout.boxes[node.id];
                return box ? (
                  <GraphNode
                    key={node.id}
                    forest={forest}
                    node={node}
                    box={box}
                    relations={describeRelations(relations?.get(node.id))}
                    isSelected={node.id === chosen}
                    isCursor={node.id === at}
                    isCritical={path?.nodes.has(node.id) ?? false}
                    matches={matches ? (matches.get(node.id) ?? 0) : null}
                    onOpen={openNode}
                    onFold={fold}
                    runEnd={runEnd}
                  />
                ) : null;
              })
            : null}
        </div>
        <div className={classes.notice}>
          {error ? (
            <ErrorNotice title="The graph could not be drawn" problem={{ code: "LAYOUT", message: error }} />
          ) : null}
          {!placed && !error ? <LoadingNotice what="the graph" /> : null}
          {placed && forest.synced && !placed.graph.nodes.size ? (
            <EmptyNotice title="This run has no actions" />
          ) : null}
        </div>
      </div>
    </div>
  );
}
