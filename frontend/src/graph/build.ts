import { withoutNumbers } from "../actions/failures";
import type { Action, ActionForest, ActionNode } from "../actions/useForest";
import { type Graph, type GraphEdge, type GraphNode, type NodeKind, isInside, ownerOf } from "./model";

/** What the user expanded, and what has to be seen. */
export interface GraphFolds {
  /** Explicitly expanded and collapsed nodes, by id; a rule decides for all others. */
  byUser: ReadonlyMap<string, boolean>;
  /** Further children to draw, by the id of the node around them. */
  more: ReadonlyMap<string, number>;
  /** The name of an action that is drawn as a node of its own. */
  shown: string | undefined;
}

/** The most nodes drawn at once. */
export const MOST_NODES = 400;
/** Children that a node draws one by one; of more, those with alike names are folded. */
export const ROOM = 100;
/** A node that was not touched is expanded up to this many children, and this many nodes in all. */
const FEW_CHILDREN = 12;
const FEW_NODES = 60;
/** Dependencies without an action that are drawn one by one. */
const MOST_MISSING = 30;
/** Steps between two chances to pause. */
const STEP = 500;

export const RUN = "";

/**
 * The nodes and edges to draw, at most `MOST_NODES` of any number of actions: what a node stands for is folded
 * in it. A generator, since it visits all actions; it may pause at each step.
 */
export function* buildGraph(forest: ActionForest, folds: GraphFolds): Generator<void, Graph> {
  const nodes = new Map<string, GraphNode>();
  const owner = new Map<ActionNode, string>();
  const kept = keptLines(forest, folds.shown);
  // Breadth first, so that a budget is spent evenly. The action of a run with one root is not drawn: its page is the run.
  const [root] = forest.roots;
  const isOne = forest.roots.length === 1 && root !== undefined && root.children.length > 0;
  const queue: { id: string; lines: readonly ActionNode[]; canFold: boolean }[] = [
    { id: RUN, lines: [...(isOne ? root.children : forest.roots)], canFold: true },
  ];
  // Drawn, or about to be drawn in a node that is expanded.
  let planned = Math.min(ROOM, queue[0]?.lines.length ?? 0);
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { id: around, lines, canFold } = next;
    const room = Math.min(ROOM + (folds.more.get(around) ?? 0), Math.max(1, MOST_NODES - nodes.size));
    const parts = yield* arrange(lines, room, canFold, kept);
    for (const part of parts) {
      const { node, children } = yield* nodeOf(part, around);
      const isSmall = children.length <= FEW_CHILDREN && planned + children.length <= FEW_NODES;
      const isKept = part.lines.some((line) => kept.has(line) && line.name !== folds.shown);
      const isWanted = folds.byUser.get(node.id) ?? (node.kind !== "alike" && isSmall);
      const isOpen = node.hasChildren && (isKept || (isWanted && planned < MOST_NODES));
      if (isOpen) planned += Math.min(ROOM, children.length);
      nodes.set(node.id, { ...node, isOpen });
      for (const line of part.lines) owner.set(line, node.id);
      if (isOpen) queue.push({ id: node.id, lines: children, canFold: node.kind !== "alike" });
      yield;
    }
  }
  const edges = yield* edgesOf(forest, nodes, owner);
  return { nodes, edges, owner, size: forest.size };
}

/** Siblings that become one node. */
interface Part {
  kind: NodeKind;
  name: string;
  lines: ActionNode[];
}

interface Draft {
  node: GraphNode;
  children: readonly ActionNode[];
}

/** The line of an action, and those above it: they are expanded. */
function keptLines(forest: ActionForest, name: string | undefined): Set<ActionNode> {
  const kept = new Set<ActionNode>();
  for (let at = name === undefined ? null : forest.find(name); at; at = at.parent) kept.add(at);
  return kept;
}

/** Siblings as parts, at most `room`: one by one, or those alike together, and what is left as one. */
function* arrange(
  lines: readonly ActionNode[],
  room: number,
  canFold: boolean,
  kept: ReadonlySet<ActionNode>,
): Generator<void, Part[]> {
  const single = (line: ActionNode): Part => ({
    kind: line.action ? "action" : "group",
    name: line.name,
    lines: [line],
  });
  if (lines.length <= room) return lines.map(single);
  let parts: Part[] = [];
  for (const key of canFold ? [alike, functionOf] : []) {
    const byKey = new Map<string, ActionNode[]>();
    let count = 0;
    for (const line of lines) {
      const name = line.action && !kept.has(line) ? `=${key(line.action)}` : line.key;
      const known = byKey.get(name);
      if (known) known.push(line);
      else byKey.set(name, [line]);
      if ((count += 1) % STEP === 0) yield;
    }
    parts = [...byKey].map(([name, lines]) =>
      lines.length === 1 && lines[0] ? single(lines[0]) : { kind: "alike", name: name.slice(1), lines },
    );
    if (parts.length <= room) return parts;
  }
  if (!canFold) parts = lines.map(single);
  const isKept = ({ lines }: Part): boolean => lines.some((line) => kept.has(line));
  const first = parts.slice(0, room - 1);
  const [chosen] = parts.slice(room - 1).filter(isKept);
  if (chosen) first.splice(-1, 1, chosen);
  const drawn = new Set(first);
  const rest = parts.filter((part) => !drawn.has(part)).flatMap(({ lines }) => lines);
  return [...first, { kind: "rest", name: "more", lines: rest }];
}

const alike = (action: Action): string => withoutNumbers(action.name);
const functionOf = (action: Action): string => action.functionName ?? alike(action);

function* nodeOf({ kind, name, lines }: Part, around: string): Generator<void, Draft> {
  const parent = around === RUN ? null : around;
  const [line] = lines;
  if (line && (kind === "action" || kind === "group")) {
    const { children } = line;
    const total = line.total + (kind === "action" ? 1 : 0);
    const hasChildren = children.length > 0;
    const node = { id: line.key, kind, name, parent, isOpen: false, hasChildren, line, total, counts: [] };
    return { node, children };
  }
  const counts = new Map<string, number>();
  let total = 0;
  for (const [at, { action, counts: below }] of lines.entries()) {
    const add = (phase: string, count: number): void =>
      void counts.set(phase, (counts.get(phase) ?? 0) + count);
    if (action) add(action.phase, 1);
    for (const [phase, count] of below) add(phase, count);
    total += (lines[at]?.total ?? 0) + (action ? 1 : 0);
    if (at % STEP === STEP - 1) yield;
  }
  const node = {
    ...{ id: `${kind}:${around}\n${name}`, kind, name, parent, isOpen: false, line: null, total },
    hasChildren: kind === "alike",
    counts: [...counts].map(([phase, count]) => ({ phase, count })),
  };
  return { node, children: lines };
}

/** The dependencies between drawn nodes. Adds nodes for those that nothing was reported of yet. */
function* edgesOf(
  forest: ActionForest,
  nodes: Map<string, GraphNode>,
  owner: Map<ActionNode, string>,
): Generator<void, GraphEdge[]> {
  const edges = new Map<string, GraphEdge>();
  const missing = new Map<string, string>();
  const waiting: { name: string; to: string }[] = [];
  let steps = 0;
  const connect = (from: string, to: string): void => {
    if (from === to || isInside(nodes, from, to) || isInside(nodes, to, from)) return;
    const key = `${from}\t${to}`;
    const known = edges.get(key);
    if (known) known.count += 1;
    else edges.set(key, { from, to, count: 1 });
  };
  for (const action of forest.actions()) {
    if ((steps += 1) % STEP === 0) yield;
    if (!action.dependencies.length) continue;
    const line = forest.find(action.name);
    const to = line && ownerOf({ owner }, line);
    if (to === undefined) continue;
    for (const name of action.dependencies) {
      if ((steps += 1) % STEP === 0) yield;
      const needed = forest.find(name);
      const from = needed && ownerOf({ owner }, needed);
      if (from !== undefined) connect(from, to);
      else if (!needed) {
        missing.set(name, nodes.get(to)?.parent ?? RUN);
        waiting.push({ name, to });
      }
    }
  }
  const isMany = missing.size > MOST_MISSING;
  const idOf = (name: string): string => (isMany ? "missing:" : `missing:${name}`);
  for (const [name, around] of missing) {
    if (isMany && nodes.has(idOf(name))) break;
    nodes.set(idOf(name), {
      ...{ id: idOf(name), kind: "missing", isOpen: false, hasChildren: false, line: null, counts: [] },
      name: isMany ? `${missing.size.toLocaleString("en")} actions` : name,
      parent: isMany || around === RUN ? null : around,
      total: isMany ? missing.size : 1,
    });
  }
  for (const { name, to } of waiting) connect(idOf(name), to);
  return [...edges.values()];
}
