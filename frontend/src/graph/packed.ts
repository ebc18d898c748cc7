import { type Box, GAP, type LayoutNode } from "./layout";

/** How much wider than high nodes without edges are arranged, if nothing else gives a width. */
const ASPECT = 1.8;

/** Nodes without edges in rows, as wide as what is above them or about as wide as high. */
export function packed(
  nodes: readonly LayoutNode[],
  least: number,
): { boxes: Map<string, Box>; width: number; height: number } {
  const area = nodes.reduce((sum, { width, height }) => sum + (width + GAP) * (height + GAP), 0);
  const widest = Math.max(least, Math.sqrt(area * ASPECT), ...nodes.map(({ width }) => width));
  const boxes = new Map<string, Box>();
  let [x, y, row, right] = [0, 0, 0, 0];
  for (const { id, width, height } of nodes) {
    if (x > 0 && x + width > widest) {
      y += row + GAP;
      [x, row] = [0, 0];
    }
    boxes.set(id, { x, y, width, height });
    right = Math.max(right, x + width);
    x += width + GAP;
    row = Math.max(row, height);
  }
  return { boxes, width: right, height: y + row };
}
