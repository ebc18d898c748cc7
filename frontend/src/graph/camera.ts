import type { Box, Point } from "./layout";

/** Where the graph's origin is in the window, and how large it is drawn. */
export interface Camera extends Point {
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

const LEAST_SCALE = 0.05;
const MOST_SCALE = 2;
/** Around a graph that fits, in pixels. */
const MARGIN = 16;

/** The scale from which on text can be read at a glance. */
export const READABLE = 0.45;

/**
 * Shows all of a graph, no larger than its real size. Where that is smaller than `least`, its middle, from its left
 * end on.
 */
export function fitted(graph: Size, { width, height }: Size, least = LEAST_SCALE): Camera {
  const [inner, high] = [Math.max(1, width - 2 * MARGIN), Math.max(1, height - 2 * MARGIN)];
  const wanted = Math.min(1, inner / Math.max(1, graph.width), high / Math.max(1, graph.height));
  const scale = Math.max(least, wanted);
  const x = Math.max(MARGIN, (width - graph.width * scale) / 2);
  return { scale, x, y: (height - graph.height * scale) / 2 };
}

/** Zooms by a factor; the point of the window stays in place. */
export function zoomedAt({ x, y, scale }: Camera, factor: number, at: Point): Camera {
  const next = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, scale * factor));
  const real = next / scale;
  return { scale: next, x: at.x - (at.x - x) * real, y: at.y - (at.y - y) * real };
}

/** The nearest camera that has the box in sight, at a scale at which it can be read; null if it is so already. */
export function shifted(camera: Camera, box: Box, frame: Size): Camera | null {
  const readable = Math.max(camera.scale, 0.6);
  const middle = {
    x: camera.x + (box.x + box.width / 2) * camera.scale,
    y: camera.y + (box.y + box.height / 2) * camera.scale,
  };
  const next = readable > camera.scale ? zoomedAt(camera, readable / camera.scale, middle) : camera;
  const move = (at: number, start: number, length: number, room: number): number => {
    const from = at + start * next.scale;
    const to = from + length * next.scale;
    if (from < MARGIN || to - from > room - 2 * MARGIN) return at + MARGIN - from;
    return to > room - MARGIN ? at + room - MARGIN - to : at;
  };
  const x = move(next.x, box.x, box.width, frame.width);
  const y = move(next.y, box.y, box.height, frame.height);
  return x === camera.x && y === camera.y && next.scale === camera.scale ? null : { ...next, x, y };
}
