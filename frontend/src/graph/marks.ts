import { criticalPath } from "../actions/criticalPath";
import type { ActionForest } from "../actions/useForest";
import { type TreeFilter, matcher } from "../actions/visible";
import { type Graph, ownerOf } from "./model";

/** The key of an edge. */
export const edgeKey = (from: string, to: string): string => `${from}\t${to}`;

/** The nodes and edges that the critical path goes through. */
export function criticalMarks(
  graph: Graph,
  forest: ActionForest,
): { nodes: Set<string>; edges: Set<string> } {
  const nodes = new Set<string>();
  const edges = new Set<string>();
  let after: string | undefined;
  // From the last action back.
  for (const name of criticalPath(forest.actions())) {
    const line = forest.find(name);
    const id = line && ownerOf(graph, line);
    if (id === undefined) continue;
    nodes.add(id);
    if (after !== undefined) edges.add(edgeKey(id, after));
    after = id;
  }
  return { nodes, edges };
}

/** How many actions match the filter, by the node that shows them, and by the nodes around that. */
export function* matchMarks(
  graph: Graph,
  forest: ActionForest,
  filter: TreeFilter,
): Generator<void, ReadonlyMap<string, number>> {
  const matches = matcher(filter);
  const counts = new Map<string, number>();
  let steps = 0;
  for (const line of forest.nodes.values()) {
    if ((steps += 1) % 1_000 === 0) yield;
    if (!line.action || !matches(line.action)) continue;
    for (let id = ownerOf(graph, line); id !== undefined; id = graph.nodes.get(id)?.parent ?? undefined) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }
  return counts;
}

/** The names of what a node depends on, and of what depends on it. */
export interface Relations {
  needs: string[];
  neededBy: string[];
}

export function relationsOf({ nodes, edges }: Graph): ReadonlyMap<string, Relations> {
  const relations = new Map<string, Relations>();
  const of = (id: string): Relations => {
    const known = relations.get(id) ?? { needs: [], neededBy: [] };
    relations.set(id, known);
    return known;
  };
  for (const { from, to } of edges) {
    of(to).needs.push(nodes.get(from)?.name ?? "");
    of(from).neededBy.push(nodes.get(to)?.name ?? "");
  }
  return relations;
}

const NAMED = 4;

/** Relations in words, for screen readers and tooltips. */
export function describeRelations(relations: Relations | undefined): string {
  const list = (names: readonly string[]): string => {
    const more = names.length - NAMED;
    return `${names.slice(0, NAMED).join(", ")}${more > 0 ? ` and ${more.toLocaleString("en")} more` : ""}`;
  };
  const { needs = [], neededBy = [] } = relations ?? {};
  return [
    needs.length ? `Depends on ${list(needs)}.` : "",
    neededBy.length ? `Needed by ${list(neededBy)}.` : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** What is folded, in a sentence. */
export function describeFolding({ nodes, size }: Graph): string {
  let [single, folded] = [0, 0];
  for (const { kind, line, isOpen, total } of nodes.values()) {
    if (line?.action && (isOpen || total === 1)) single += 1;
    else if (!isOpen && kind !== "missing") folded += 1;
  }
  const number = (count: number): string => count.toLocaleString("en");
  if (!folded) return "";
  return `${number(single)} of ${number(size)} actions are drawn one by one, the others are folded in ${number(folded)} ${folded === 1 ? "node" : "nodes"}.`;
}
