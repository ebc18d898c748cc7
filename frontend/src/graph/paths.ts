import type { Box, Point } from "./layout";

/** How far an edge that goes back reaches beyond its nodes. */
const DETOUR = 40;

/** The path from the right side of one node through the points to the left side of another. */
export function edgePath(from: Box, bends: readonly Point[], to: Box): string {
  const start = { x: from.x + from.width, y: from.y + from.height / 2 };
  const end = { x: to.x, y: to.y + to.height / 2 };
  const parts = [`M${round(start.x)},${round(start.y)}`];
  let at = start;
  // Points that lead backward, of circular dependencies, would make loops.
  const ahead = bends.filter(({ x }) => x > start.x && x < end.x);
  for (const point of [...ahead, end]) {
    const reach = point.x > at.x ? (point.x - at.x) / 2 : DETOUR;
    parts.push(
      `C${round(at.x + reach)},${round(at.y)} ${round(point.x - reach)},${round(point.y)} ${round(point.x)},${round(point.y)}`,
    );
    at = point;
  }
  return parts.join("");
}

const round = (value: number): number => Math.round(value * 10) / 10;
