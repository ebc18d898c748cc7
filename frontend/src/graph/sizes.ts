import type { GraphNode } from "./model";

/** The sizes of nodes in pixels; the style sheet has no others. */
const WIDTH = 220;
const HEIGHT = 46;
const FOLDED_HEIGHT = 62;

export function sizeOf({ kind, hasChildren }: Pick<GraphNode, "kind" | "hasChildren">): {
  width: number;
  height: number;
} {
  return { width: WIDTH, height: hasChildren || kind === "rest" ? FOLDED_HEIGHT : HEIGHT };
}
