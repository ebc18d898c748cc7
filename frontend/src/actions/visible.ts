import type { ActionData, Forest, TreeNode } from "./forest";

/** Which lines are open, and for all others there is a rule. A search opens all that nobody closed. */
export interface Folds {
  byUser: ReadonlyMap<string, boolean>;
  /** What the rule said when a line was first seen. */
  settled: ReadonlyMap<string, boolean>;
}

export interface TreeFilter {
  /** Part of a name, any case. */
  text: string;
  phases: readonly string[];
}

/** A line of the tree as it is shown. */
export interface Line<Data extends ActionData = ActionData> {
  node: TreeNode<Data>;
  depth: number;
  isOpen: boolean;
  /** It is here only because something below it matches. */
  isPath: boolean;
}

/** Lines up to which everything is open at first. */
const SMALL = 60;
/** Members from which on a group is closed at first, however small the run is. */
const MANY = 12;

/** Whether a line is open that nobody opened or closed. */
export function isOpenAtFirst(node: TreeNode, size: number): boolean {
  if (node.action) return true;
  return size <= SMALL || (node.children.length < MANY && size <= 500);
}

export function isFiltering(filter: TreeFilter): boolean {
  return filter.text.trim() !== "" || filter.phases.length > 0;
}

/** The lines to show, in their order. With a filter: what matches, and what lies above it. */
export function visibleLines<Data extends ActionData>(
  forest: Forest<Data>,
  folds: Folds,
  filter: TreeFilter,
): Line<Data>[] {
  const matches = isFiltering(filter) ? matching(forest, filter) : null;
  const lines: Line<Data>[] = [];
  const stack: { node: TreeNode<Data>; depth: number }[] = [];
  const push = (nodes: TreeNode<Data>[], depth: number): void => {
    for (let at = nodes.length - 1; at >= 0; at -= 1)
      stack.push({ node: nodes[at] as TreeNode<Data>, depth });
  };
  push(forest.roots, 0);
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node, depth } = next;
    const match = matches?.get(node);
    if (matches && !match) continue;
    const byRule = (): boolean => folds.settled.get(node.key) ?? isOpenAtFirst(node, forest.size);
    const isOpen = node.children.length > 0 && (folds.byUser.get(node.key) ?? (matches ? true : byRule()));
    lines.push({ node, depth, isOpen, isPath: match === "path" });
    if (isOpen) push(node.children, depth + 1);
  }
  return lines;
}

/** What matches the filter, and what is on the way to it. */
function matching<Data extends ActionData>(
  forest: Forest<Data>,
  filter: TreeFilter,
): Map<TreeNode<Data>, "match" | "path"> {
  const text = filter.text.trim().toLowerCase();
  const phases = new Set(filter.phases);
  const found = new Map<TreeNode<Data>, "match" | "path">();
  for (const node of forest.nodes.values()) {
    const { action } = node;
    if (!action || (phases.size && !phases.has(action.phase))) continue;
    if (text && !action.name.toLowerCase().includes(text) && !action.group?.toLowerCase().includes(text)) {
      continue;
    }
    found.set(node, "match");
    for (let above = node.parent; above && !found.has(above); above = above.parent) found.set(above, "path");
  }
  return found;
}
