import type { ActionNode } from "../actions/useForest";

/**
 * What a node of the graph stands for: an action, a group of siblings, siblings whose names differ in numbers
 * only, the siblings for which there is no room, or a dependency that nothing was reported of yet.
 */
export type NodeKind = "action" | "group" | "alike" | "rest" | "missing";

export interface GraphNode {
  /** Stable for as long as the node exists. */
  id: string;
  kind: NodeKind;
  name: string;
  /** The id of the open node around it. */
  parent: string | null;
  /** Whether its children are drawn inside it. */
  isOpen: boolean;
  /** Whether it can be expanded or collapsed. */
  hasChildren: boolean;
  /** The line of the tree that it stands for; null unless it is an action or a group. */
  line: ActionNode | null;
  /** How many actions it stands for, descendants included. */
  total: number;
  /** Their counts by phase, if it has no line. */
  counts: { phase: string; count: number }[];
}

/** An arrow from a dependency to what depends on it. */
export interface GraphEdge {
  from: string;
  to: string;
  /** How many dependencies between actions it stands for. */
  count: number;
}

export interface Graph {
  /** Each after the node around it. */
  nodes: Map<string, GraphNode>;
  edges: GraphEdge[];
  /** The node that shows each line of the tree, itself or folded. */
  owner: ReadonlyMap<ActionNode, string>;
  /** The number of actions in the run. */
  size: number;
}

/** The node that shows an action; undefined for one whose parent has not arrived. */
export function ownerOf({ owner }: Pick<Graph, "owner">, line: ActionNode): string | undefined {
  for (let at: ActionNode | null = line; at; at = at.parent) {
    const id = owner.get(at);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Whether `id` lies inside the open node `around`. */
export function isInside(nodes: Graph["nodes"], id: string, around: string): boolean {
  for (let at = nodes.get(id)?.parent; at; at = nodes.get(at)?.parent) if (at === around) return true;
  return false;
}
