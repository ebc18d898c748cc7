import { useEffect, useState } from "react";
import { type ActionForest, useForestVersion } from "../actions/useForest";
import { inSlices } from "../ui/slices";
import { type GraphFolds, buildGraph } from "./build";
import type { Layout, LayoutInput } from "./layout";
import type { Graph, GraphNode } from "./model";
import { sizeOf } from "./sizes";

/** A graph with the place of each node. */
export interface PlacedGraph {
  graph: Graph;
  layout: Layout;
}

/** How often the graph follows changes of the run, in milliseconds. */
const FOLLOW_MS = 1_000;

/** The graph of a forest; null until it is laid out, and an error if that failed. */
export function useGraph(
  forest: ActionForest,
  folds: GraphFolds,
): { placed: PlacedGraph | null; error: string | null } {
  const structure = useForestVersion(forest, FOLLOW_MS, "structure");
  const version = useForestVersion(forest, FOLLOW_MS, "version");
  const [maker, setMaker] = useState<GraphMaker | null>(null);
  const [state, setState] = useState<{ placed: PlacedGraph | null; error: string | null }>(NOTHING);
  useEffect(() => {
    const made = new GraphMaker(
      (placed) => setState({ placed, error: null }),
      (error) => setState((before) => ({ ...before, error })),
    );
    // eslint-disable-next-line react-hooks/set-state-in-effect -- a worker is started once it is shown
    setMaker(made);
    return () => made.close();
  }, []);
  // Nodes with a line follow it by themselves: only others have counts of their own.
  const hasCounts = [...(state.placed?.graph.nodes.values() ?? [])].some(({ counts }) => counts.length > 0);
  const changes = hasCounts ? version : structure;
  useEffect(() => maker?.make(forest, folds), [maker, forest, folds, changes]);
  return state;
}

const NOTHING = { placed: null, error: null };

/** Builds and lays out one graph at a time; of those requested meanwhile only the newest. */
class GraphMaker {
  private readonly worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
  private readonly closing = new AbortController();
  private next: (() => Promise<void>) | null = null;
  private isBusy = false;
  /** The input and the result of the last layout: most changes of a run do not change it. */
  private last: { key: string; layout: Layout } | null = null;

  constructor(
    private readonly done: (placed: PlacedGraph) => void,
    private readonly failed: (error: string) => void,
  ) {}

  make(forest: ActionForest, folds: GraphFolds): void {
    this.next = async () => {
      const graph = await inSlices(buildGraph(forest, folds), this.closing.signal);
      if (!graph) return;
      const layout = await this.place(graph);
      if (!this.closing.signal.aborted) this.done({ graph, layout });
    };
    void this.run();
  }

  close(): void {
    this.closing.abort();
    this.next = null;
    this.worker.terminate();
  }

  private async run(): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.next) {
      const task = this.next;
      this.next = null;
      try {
        await task();
      } catch (error) {
        this.failed(error instanceof Error ? error.message : String(error));
      }
    }
    this.isBusy = false;
  }

  private async place({ nodes, edges }: Graph): Promise<Layout> {
    const input: LayoutInput = {
      nodes: [...nodes.values()].map((node) => layoutNode(node)),
      edges: edges.map(({ from, to }) => ({ from, to })),
    };
    const key = JSON.stringify(input);
    if (this.last?.key === key) return this.last.layout;
    const layout = await new Promise<Layout>((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<Layout>) => resolve(data);
      this.worker.onerror = ({ message }) => reject(new Error(message || "The layout did not load."));
      this.worker.postMessage(input);
    });
    this.last = { key, layout };
    return layout;
  }
}

const layoutNode = (node: GraphNode): LayoutInput["nodes"][number] => ({
  ...{ id: node.id, parent: node.parent, isOpen: node.isOpen },
  ...sizeOf(node),
});
