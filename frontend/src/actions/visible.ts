import type { ActionData, Forest, TreeNode } from "./forest";

/**
 * Explicitly expanded and collapsed lines; a rule decides for all others. A search expands everything not
 * explicitly collapsed.
 */
export interface Folds {
  byUser: ReadonlyMap<string, boolean>;
  /** The rule's answer when a line was first seen. */
  settled: ReadonlyMap<string, boolean>;
}

export interface TreeFilter {
  /** A case-insensitive part of a name. */
  text: string;
  phases: readonly string[];
}

/** A visible line of the tree. */
export interface Line<Data extends ActionData = ActionData> {
  node: TreeNode<Data>;
  depth: number;
  isOpen: boolean;
  /** Shown only because a descendant matches. */
  isPath: boolean;
}

/** Up to this number of lines everything is expanded initially. */
const SMALL = 60;
/** From this number of members on a group is collapsed initially, however small the run is. */
const MANY = 12;

/** Whether a line that the user has not touched is expanded. */
export function isOpenAtFirst(node: TreeNode, size: number): boolean {
  if (node.action) return true;
  return size <= SMALL || (node.children.length < MANY && size <= 500);
}

export function isFiltering(filter: TreeFilter): boolean {
  return filter.text.trim() !== "" || filter.phases.length > 0;
}

/** The lines to show, in order. With a filter: matches and their ancestors. */
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

/** Whether an action matches the filter. */
export function matcher(filter: TreeFilter): (action: ActionData) => boolean {
  const text = filter.text.trim().toLowerCase();
  const phases = new Set(filter.phases);
  return ({ name, group, phase }) =>
    (!phases.size || phases.has(phase)) &&
    (!text || name.toLowerCase().includes(text) || !!group?.toLowerCase().includes(text));
}

/** Matches of the filter and their ancestors. */
function matching<Data extends ActionData>(
  forest: Forest<Data>,
  filter: TreeFilter,
): Map<TreeNode<Data>, "match" | "path"> {
  const matches = matcher(filter);
  const found = new Map<TreeNode<Data>, "match" | "path">();
  for (const node of forest.nodes.values()) {
    if (!node.action || !matches(node.action)) continue;
    found.set(node, "match");
    for (let above = node.parent; above && !found.has(above); above = above.parent) found.set(above, "path");
  }
  return found;
}
