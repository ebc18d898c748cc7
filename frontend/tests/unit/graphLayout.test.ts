import { expect, test } from "vitest";
import { fitted, shifted, zoomedAt } from "../../src/graph/camera";
import { type Box, type LayoutInput, layersOf, layoutGraph } from "../../src/graph/layout";
import { walk } from "../../src/graph/walk";
import type { Graph } from "../../src/graph/model";

const node = (id: string, parent: string | null = null, isOpen = false): LayoutInput["nodes"][number] => ({
  ...{ id, parent, isOpen },
  width: 200,
  height: 50,
});
const edge = (from: string, to: string) => ({ from, to });

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

const EXAMPLE: LayoutInput = {
  nodes: [
    node("load"),
    node("map", null, true),
    node("save"),
    node("alone"),
    node("m1", "map"),
    node("m2", "map"),
  ],
  edges: [edge("load", "m1"), edge("load", "m2"), edge("m1", "save"), edge("m2", "save")],
};

test("dependencies are to the left, and an open node lies around its children", () => {
  const { boxes, paths } = layoutGraph(structuredClone(EXAMPLE));
  const box = (id: string): Box => boxes[id] as Box;
  expect(box("load").x + box("load").width).toBeLessThan(box("map").x);
  expect(box("map").x + box("map").width).toBeLessThan(box("save").x);
  for (const id of ["m1", "m2"]) {
    expect(box(id).x).toBeGreaterThan(box("map").x);
    expect(box(id).y + box(id).height).toBeLessThan(box("map").y + box("map").height);
  }
  expect(overlap(box("m1"), box("m2"))).toBe(false);
  for (const id of ["load", "map", "save"]) expect(overlap(box("alone"), box(id))).toBe(false);
  expect(paths).toHaveLength(4);
  // From the side of one node to the side of the other.
  expect(paths[0]).toMatch(new RegExp(`^M${box("load").x + 200},.* ${box("m1").x},${box("m1").y + 25}$`));
});

test("circular dependencies are laid out", () => {
  const { boxes } = layoutGraph({ nodes: [node("a"), node("b")], edges: [edge("a", "b"), edge("b", "a")] });
  expect(overlap(boxes.a as Box, boxes.b as Box)).toBe(false);
  const layers = layersOf(
    [{ id: "a" }, { id: "b" }, { id: "c" }],
    [edge("a", "b"), edge("b", "a"), edge("b", "c")],
  );
  expect([...layers].sort()).toEqual([
    ["a", 0],
    ["b", 1],
    ["c", 2],
  ]);
});

test("many nodes without dependencies fill rows", () => {
  const { boxes, width, height } = layoutGraph({
    nodes: Array.from({ length: 100 }, (_, n) => node(`n${n}`)),
    edges: [],
  });
  expect(new Set(Object.values(boxes).map(({ x, y }) => `${x},${y}`)).size).toBe(100);
  expect(width / height).toBeGreaterThan(1);
  expect(width / height).toBeLessThan(3);
});

test("every node depending on all before it takes no time that grows with the edges' length", () => {
  const nodes = Array.from({ length: 90 }, (_, n) => node(`n${n}`));
  const edges = nodes.flatMap(({ id }, n) => nodes.slice(0, n).map((before) => edge(before.id, id)));
  const { boxes, paths } = layoutGraph({ nodes, edges });
  expect(Object.keys(boxes)).toHaveLength(90);
  expect(paths).toHaveLength(edges.length);
});

test("arrow keys walk along edges, into and out of open nodes", () => {
  const { boxes } = layoutGraph(structuredClone(EXAMPLE));
  const nodes = new Map(EXAMPLE.nodes.map(({ id, parent, isOpen }) => [id, { id, parent, isOpen }]));
  const graph = { nodes, edges: EXAMPLE.edges } as unknown as Graph;
  const go = (from: string, to: "left" | "right" | "up" | "down") =>
    walk({ graph, layout: { boxes } }, from, to);
  expect(["m1", "m2"]).toContain(go("load", "right"));
  expect(go("m1", "right")).toBe("save");
  expect(["m1", "m2"]).toContain(go("save", "left"));
  const top = go("map", "down") as string;
  expect(go(top, "up")).toBe("map");
  expect(go(top, "down")).toBe(top === "m1" ? "m2" : "m1");
  expect(go("save", "right")).toBeNull();
});

test("zooming keeps the point under the pointer, and what is chosen comes into sight", () => {
  const camera = zoomedAt({ x: 10, y: 20, scale: 1 }, 2, { x: 110, y: 70 });
  expect(camera).toEqual({ scale: 2, x: -90, y: -30 });
  expect(fitted({ width: 2_000, height: 500 }, { width: 1_032, height: 532 })).toMatchObject({
    scale: 0.5,
    x: 16,
  });
  expect(fitted({ width: 9_000, height: 500 }, { width: 1_000, height: 500 }, 0.45).scale).toBe(0.45);
  const box = { x: 3_000, y: 10, width: 200, height: 50 };
  const frame = { width: 800, height: 600 };
  const next = shifted({ x: 0, y: 0, scale: 1 }, box, frame);
  expect(next).toEqual({ x: 800 - 16 - 3_200, y: 6, scale: 1 });
  expect(next && shifted(next, box, frame)).toBeNull();
});
