import type { Box } from "./layout";
import { type Graph, isInside } from "./model";

export type Direction = "left" | "right" | "up" | "down";

interface Placed {
  graph: Pick<Graph, "nodes" | "edges">;
  layout: { boxes: Record<string, Box> };
}

/**
 * The next node in a direction: along an edge to the right and left, to a neighbour up and down. Into an open node
 * downwards, out of it upwards. Without an edge the nearest neighbour beside it; null if there is none.
 */
export function walk({ graph, layout: { boxes } }: Placed, at: string, to: Direction): string | null {
  const { nodes, edges } = graph;
  const here = nodes.get(at);
  const from = boxes[at];
  if (!here || !from) return null;
  const isSideways = to === "left" || to === "right";
  if (isSideways) {
    const linked = edges.flatMap(({ from, to: end }) =>
      to === "right" ? (from === at ? [end] : []) : end === at ? [from] : [],
    );
    if (linked.length) return nearest(boxes, from, linked);
  }
  const inside = [...nodes.values()].filter(({ parent }) => parent === at).map(({ id }) => id);
  if (to === "down" && here.isOpen && inside.length) {
    return inside.reduce((first, id) => (topLeft(boxes[id]) < topLeft(boxes[first]) ? id : first));
  }
  const beside = [...nodes.values()]
    .filter(({ id, parent }) => id !== at && parent === here.parent && !isInside(nodes, id, at))
    .map(({ id }) => id)
    .filter((id) => liesIn(boxes[id], from, to));
  if (beside.length) return nearest(boxes, from, beside);
  return to === "up" ? here.parent : null;
}

const topLeft = (box: Box | undefined): number => (box ? box.y * 10_000 + box.x : Infinity);

/** Whether a box lies in that direction, overlapping in the other one. */
function liesIn(box: Box | undefined, from: Box, to: Direction): boolean {
  if (!box) return false;
  const overlapsX = box.x < from.x + from.width && from.x < box.x + box.width;
  const overlapsY = box.y < from.y + from.height && from.y < box.y + box.height;
  if (to === "down") return overlapsX && box.y >= from.y + from.height;
  if (to === "up") return overlapsX && box.y + box.height <= from.y;
  return overlapsY && (to === "right" ? box.x >= from.x + from.width : box.x + box.width <= from.x);
}

function nearest(boxes: Record<string, Box>, from: Box, ids: readonly string[]): string | null {
  const middle = (box: Box): [number, number] => [box.x + box.width / 2, box.y + box.height / 2];
  const [x, y] = middle(from);
  let best: string | null = null;
  let least = Infinity;
  for (const id of ids) {
    const box = boxes[id];
    if (!box) continue;
    const [otherX, otherY] = middle(box);
    const distance = Math.hypot(otherX - x, otherY - y);
    if (distance < least) [best, least] = [id, distance];
  }
  return best;
}
