import * as dagre from "@dagrejs/dagre";
import { packed } from "./packed";
import { edgePath } from "./paths";

/** A node for the layout: its size, unless its children are drawn inside it. */
export interface LayoutNode {
  id: string;
  parent: string | null;
  isOpen: boolean;
  width: number;
  height: number;
}

export interface LayoutEdge {
  from: string;
  to: string;
}

export interface LayoutInput {
  /** Each after the node around it. */
  nodes: LayoutNode[];
  edges: LayoutEdge[];
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  boxes: Record<string, Box>;
  /** The path of each edge, in the order of the input, for the attribute `d`. */
  paths: string[];
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

/** The title and the padding of an open node. */
export const TITLE = 34;
export const PADDING = 14;
/** Between nodes that are not connected, and between layers. */
export const GAP = 18;
const LAYER_GAP = 56;
/**
 * Dagre adds a node for each layer that an edge crosses, and takes quadratic time in them. Beyond this number the
 * longest edges have no influence on the layout and are drawn straight.
 */
const MOST_CROSSED = 800;
/** From this number of nodes and edges on, layers are found by the faster way. */
const LARGE = 150;

interface Level {
  nodes: LayoutNode[];
  edges: Map<string, { from: string; to: string }>;
}

/** Layers from left to right, dependencies first; each open node around the layout of its children. */
export function layoutGraph({ nodes, edges }: LayoutInput): Layout {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const levels = new Map<string | null, Level>();
  const levelOf = (parent: string | null): Level => {
    const level = levels.get(parent) ?? { nodes: [], edges: new Map<string, LayoutEdge>() };
    levels.set(parent, level);
    return level;
  };
  for (const node of nodes) levelOf(node.parent).nodes.push(node);
  for (const { from, to } of edges) {
    const [one, other] = siblings(byId, from, to);
    if (one.id !== other.id)
      levelOf(one.parent).edges.set(`${one.id}\t${other.id}`, { from: one.id, to: other.id });
  }
  const inner = new Map<string, Box>();
  const bends = new Map<string, { points: Point[]; around: string | null }>();
  // Innermost first: the size of an open node is that of its content.
  for (const parent of [...levels.keys()].reverse()) {
    const level = levels.get(parent) as Level;
    const size = placeLevel(level, inner, (key, points) => bends.set(key, { points, around: parent }));
    const around = parent === null ? null : byId.get(parent);
    if (around) {
      around.width = size.width + 2 * PADDING;
      around.height = size.height + TITLE + PADDING;
    }
    if (parent === null) inner.set("", { x: 0, y: 0, ...size });
  }
  const boxes: Record<string, Box> = {};
  const origin = (parent: string | null): Point => {
    const box = parent === null ? null : boxes[parent];
    return box ? { x: box.x + PADDING, y: box.y + TITLE } : { x: 0, y: 0 };
  };
  for (const { id, parent } of nodes) {
    const box = inner.get(id) as Box;
    const { x, y } = origin(parent);
    boxes[id] = { ...box, x: box.x + x, y: box.y + y };
  }
  const paths = edges.map(({ from, to }) => {
    const bend = bends.get(`${from}\t${to}`);
    const { x, y } = origin(bend?.around ?? null);
    const points = bend?.points.map((point) => ({ x: point.x + x, y: point.y + y })) ?? [];
    return edgePath(boxes[from] as Box, points, boxes[to] as Box);
  });
  const { width, height } = inner.get("") ?? { width: 0, height: 0 };
  return { boxes, paths, width, height };
}

/** The nodes around the ends of an edge, or the ends themselves, that have the same node around them. */
function siblings(byId: Map<string, LayoutNode>, from: string, to: string): [LayoutNode, LayoutNode] {
  const chain = (id: string): LayoutNode[] => {
    const nodes: LayoutNode[] = [];
    for (let at = byId.get(id); at; at = at.parent === null ? undefined : byId.get(at.parent))
      nodes.unshift(at);
    return nodes;
  };
  const [ones, others] = [chain(from), chain(to)];
  let depth = 0;
  while (ones[depth] === others[depth] && depth < Math.min(ones.length, others.length) - 1) depth += 1;
  return [ones[depth] as LayoutNode, others[depth] as LayoutNode];
}

/** Places the children of one node; returns the size they take. */
function placeLevel(
  { nodes, edges }: Level,
  inner: Map<string, Box>,
  onBends: (edge: string, points: Point[]) => void,
): { width: number; height: number } {
  const linked = new Set<string>();
  for (const { from, to } of edges.values()) linked.add(from).add(to);
  const connected = nodes.filter(({ id }) => linked.has(id));
  let [width, height] = [0, 0];
  if (connected.length) {
    const graph = new dagre.Graph<dagre.GraphLabel, dagre.NodeLabel, dagre.EdgeLabel>();
    const isLarge = connected.length > LARGE || edges.size > LARGE;
    graph.setGraph({
      ...{ rankdir: "LR", nodesep: GAP, ranksep: LAYER_GAP, edgesep: 10 },
      ranker: isLarge ? "longest-path" : "network-simplex",
    });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const { id, width, height } of connected) graph.setNode(id, { width, height });
    for (const { from, to } of shortest(connected, [...edges.values()])) graph.setEdge(from, to, {});
    dagre.layout(graph);
    for (const { id, width, height } of connected) {
      const { x = 0, y = 0 } = graph.node(id);
      inner.set(id, { x: x - width / 2, y: y - height / 2, width, height });
    }
    for (const edge of graph.edges()) {
      const points = (graph.edge(edge).points ?? []) as Point[];
      // The first and the last one are at the nodes.
      onBends(`${edge.v}\t${edge.w}`, points.slice(1, -1));
    }
    ({ width = 0, height = 0 } = graph.graph());
  }
  const others = packed(
    nodes.filter(({ id }) => !linked.has(id)),
    width,
  );
  const top = connected.length && others.boxes.size ? height + 2 * GAP : height;
  for (const [id, box] of others.boxes) inner.set(id, { ...box, y: box.y + top });
  return { width: Math.max(width, others.width), height: top + others.height };
}

/** The edges that cross few layers, so that the layout stays fast. */
function shortest(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): readonly LayoutEdge[] {
  const layers = layersOf(nodes, edges);
  const length = ({ from, to }: LayoutEdge): number =>
    Math.abs((layers.get(to) ?? 0) - (layers.get(from) ?? 0)) || 1;
  let crossed = 0;
  return [...edges]
    .sort((one, other) => length(one) - length(other))
    .filter((edge) => (crossed += length(edge)) <= MOST_CROSSED);
}

/** The layer of each node: one after the last of its dependencies. Cycles end where they begin. */
export function layersOf(
  nodes: readonly { id: string }[],
  edges: readonly LayoutEdge[],
): Map<string, number> {
  const after = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  const needs = new Map<string, number>(nodes.map(({ id }) => [id, 0]));
  for (const { from, to } of edges) {
    after.get(from)?.push(to);
    needs.set(to, (needs.get(to) ?? 0) + 1);
  }
  const layers = new Map<string, number>();
  const waiting = [...needs].map(([id]) => id);
  const ready = waiting.filter((id) => needs.get(id) === 0);
  for (const id of ready) layers.set(id, 0);
  for (let at = 0; ; at += 1) {
    let id = ready[at];
    if (id === undefined) {
      // Only cycles are left: one node begins.
      id = waiting.find((other) => (needs.get(other) ?? 0) > 0);
      if (id === undefined) return layers;
      needs.set(id, 0);
      layers.set(id, layers.get(id) ?? 0);
      ready.push(id);
    }
    for (const next of after.get(id) ?? []) {
      if ((needs.get(next) ?? 0) <= 0) continue;
      layers.set(next, Math.max(layers.get(next) ?? 0, (layers.get(id) ?? 0) + 1));
      needs.set(next, (needs.get(next) ?? 0) - 1);
      if (needs.get(next) === 0) ready.push(next);
    }
  }
}
