import type { Action } from "../actions/useForest";
import type { Column, Context } from "./columns";

/** An action in a plot. */
export interface Point {
  name: string;
  phase: string;
  x: number;
  y: number;
}

/** The actions that have numbers in both columns, by x; those below or at zero are not on a logarithmic axis. */
export function pointsOf(
  rows: readonly Action[],
  x: Column,
  y: Column,
  context: Context,
  log: { x: boolean; y: boolean },
): Point[] {
  const points: Point[] = [];
  for (const row of rows) {
    const [atX, atY] = [x.value(row, context), y.value(row, context)];
    if (typeof atX !== "number" || typeof atY !== "number") continue;
    if ((log.x && atX <= 0) || (log.y && atY <= 0)) continue;
    points.push({ name: row.name, phase: row.phase, x: atX, y: atY });
  }
  return points.sort((one, other) => one.x - other.x);
}

/** The index of the point that is nearest to a place in pixels, and near enough; -1 without one. */
export function nearest(
  points: readonly Point[],
  place: { left: number; top: number },
  toPlace: (point: Point) => { left: number; top: number },
  reach: number,
): number {
  let best = -1;
  let least = reach ** 2;
  points.forEach((point, index) => {
    const { left, top } = toPlace(point);
    const distance = (left - place.left) ** 2 + (top - place.top) ** 2;
    if (distance <= least) [best, least] = [index, distance];
  });
  return best;
}
