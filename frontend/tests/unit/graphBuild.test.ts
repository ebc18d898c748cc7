import { beforeEach, describe, expect, test } from "vitest";
import type { Action, ActionForest } from "../../src/actions/useForest";
import { Forest } from "../../src/actions/forest";
import { type GraphFolds, MOST_NODES, ROOM, buildGraph } from "../../src/graph/build";
import {
  criticalMarks,
  describeFolding,
  describeRelations,
  matchMarks,
  relationsOf,
} from "../../src/graph/marks";
import type { Graph } from "../../src/graph/model";

let forest: ActionForest;

function add(name: string, parentName?: string, rest: Partial<Action> = {}): void {
  const createdAt = new Date(Date.UTC(2026, 0, 1) + forest.size).toISOString();
  const row = {
    id: name,
    revision: 1,
    name,
    parentName,
    phase: "RUNNING",
    createdAt,
    dependencies: [],
    ...rest,
  };
  forest.apply({ kind: "CHANGE", cursor: "", rows: [row as unknown as Action], removed: [] });
}

function finish<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const build = (folds: Partial<GraphFolds> = {}): Graph =>
  finish(buildGraph(forest, { byUser: new Map(), more: new Map(), shown: undefined, ...folds }));

/** The nodes as text: `+` for folded, `-` for open, with their number of actions. */
const shapes = ({ nodes }: Graph): string[] =>
  [...nodes.values()].map(({ kind, name, hasChildren, isOpen, total, parent }) => {
    const sign = hasChildren ? (isOpen ? "-" : "+") : "";
    return `${parent ? "." : ""}${sign}${kind} ${name} ${total}`;
  });

const arrows = ({ nodes, edges }: Graph): string[] =>
  edges.map(
    ({ from, to, count }) => `${nodes.get(from)?.name ?? "?"}>${nodes.get(to)?.name ?? "?"} ${count}`,
  );

beforeEach(() => {
  forest = new Forest((flush) => flush()) as unknown as ActionForest;
  add("root");
});

describe("what is drawn", () => {
  test("small groups are open, and the run itself is not a node", () => {
    add("load", "root");
    add("map-1", "root", { group: "map", dependencies: ["load"] });
    add("map-2", "root", { group: "map", dependencies: ["load"] });
    add("save", "root", { dependencies: ["map-1", "map-2"] });
    const graph = build();
    expect(shapes(graph)).toEqual([
      "action load 1",
      "-group map 2",
      "action save 1",
      ".action map-1 1",
      ".action map-2 1",
    ]);
    expect(arrows(graph)).toEqual(["load>map-1 1", "load>map-2 1", "map-1>save 1", "map-2>save 1"]);
    expect(describeFolding(graph)).toBe("");
  });

  test("a run of one action is a node", () => {
    expect(shapes(build())).toEqual(["action root 1"]);
  });

  test("folded groups gather their dependencies, and say so", () => {
    add("load", "root");
    for (let n = 0; n < 40; n += 1) add(`map-${n}`, "root", { group: "map", dependencies: ["load"] });
    for (let n = 0; n < 40; n += 1) add(`out-${n}`, "root", { group: "out", dependencies: [`map-${n}`] });
    const graph = build();
    expect(shapes(graph)).toEqual(["action load 1", "+group map 40", "+group out 40"]);
    expect(arrows(graph)).toEqual(["load>map 40", "map>out 40"]);
    expect(describeFolding(graph)).toBe(
      "1 of 82 actions are drawn one by one, the others are folded in 2 nodes.",
    );
  });

  test("of many siblings those with alike names are one node, which can be opened page by page", () => {
    for (let n = 0; n < 5_000; n += 1) add(`project_ID${n}`, "root");
    add("merge", "root", { dependencies: ["project_ID7", "project_ID4999"] });
    const graph = build();
    expect(shapes(graph)).toEqual(["+alike project_ID# 5000", "action merge 1"]);
    expect(arrows(graph)).toEqual(["project_ID#>merge 2"]);
    const id = [...graph.nodes.keys()][0] as string;
    const opened = build({ byUser: new Map([[id, true]]) });
    expect(opened.nodes.size).toBe(ROOM + 2);
    expect(shapes(opened).at(-1)).toBe(".rest more 4901");
    expect(build({ byUser: new Map([[id, true]]), more: new Map([[id, ROOM]]) }).nodes.size).toBe(
      2 * ROOM + 2,
    );
  });

  test("the chosen action is a node of its own, however much is folded", () => {
    for (let n = 0; n < 3_000; n += 1) add(`step-${n}`, "root", { group: "steps" });
    for (let n = 0; n < 3_000; n += 1) add(`part-${n}`, "step-2999");
    const graph = build({ shown: "part-1234" });
    expect(shapes(graph)).toContain(".action part-1234 1");
    expect(graph.nodes.size).toBeLessThan(MOST_NODES);
  });

  test("no number of actions and of expanded nodes draws more than the limit", () => {
    for (let n = 0; n < 300; n += 1) {
      add(`outer ${"abcdefghij"[n % 10] ?? ""}${String.fromCharCode(97 + (n % 26), 97 + (n % 25))}`, "root");
      add(`box-${n}`, "root", { group: `g${n % 90}` });
      for (let m = 0; m < 20; m += 1) add(`in-${n}-${m}`, `box-${n}`);
    }
    const byUser = new Map([...forest.nodes.keys()].map((key) => [key, true]));
    expect(build({ byUser }).nodes.size).toBeLessThanOrEqual(MOST_NODES + 40);
  });
});

describe("dependencies", () => {
  test("what nothing was reported of yet is an outline, and many are one", () => {
    add("late", "root", { dependencies: ["first", "second"] });
    expect(shapes(build())).toEqual(["action late 1", "missing first 1", "missing second 1"]);
    add("later", "root", { dependencies: Array.from({ length: 50 }, (_, n) => `wanted-${n}`) });
    const graph = build();
    expect(shapes(graph).at(-1)).toBe("missing 52 actions 52");
    expect(arrows(graph)).toEqual(["52 actions>late 2", "52 actions>later 50"]);
  });

  test("circular ones, and those on a parent, do not break it", () => {
    add("a", "root", { dependencies: ["b"] });
    add("b", "root", { dependencies: ["a", "b", "root"] });
    add("inner", "a", { dependencies: ["a"] });
    expect(arrows(build()).sort()).toEqual(["a>b 1", "b>a 1"]);
  });

  test("one that is reported later makes another graph", () => {
    add("a", "root");
    add("b", "root");
    const before = forest.structure;
    add("b", "root", { revision: 2, dependencies: ["a"] });
    expect(forest.structure).toBeGreaterThan(before);
    expect(arrows(build())).toEqual(["a>b 1"]);
  });
});

describe("marks", () => {
  test("matches are counted in the nodes that show them and around those", () => {
    for (let n = 0; n < 40; n += 1)
      add(`map-${n}`, "root", { group: "map", phase: n < 3 ? "FAILED" : "SUCCEEDED" });
    add("save", "root");
    const graph = build();
    const counts = finish(matchMarks(graph, forest, { text: "", phases: ["FAILED"] }));
    const byName = [...counts].map(([id, count]) => [graph.nodes.get(id)?.name, count]);
    expect(byName).toEqual([["map", 3]]);
  });

  test("the critical path goes through folded nodes", () => {
    const ended = (second: number): Partial<Action> => ({
      startedAt: "2026-01-01T00:00:00Z",
      endedAt: `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`,
    });
    for (let n = 0; n < 40; n += 1) add(`map-${n}`, "root", { group: "map", ...ended(n) });
    add("aside", "root", ended(50));
    add("save", "root", { ...ended(55), dependencies: ["map-3", "map-39"] });
    const graph = build();
    const { nodes, edges } = criticalMarks(graph, forest);
    expect([...nodes].map((id) => graph.nodes.get(id)?.name)).toEqual(["save", "map"]);
    expect(edges.size).toBe(1);
  });

  test("relations are in words, and only some of many", () => {
    for (let n = 0; n < 7; n += 1) add(`m${"abcdefg"[n] ?? ""}`, "root");
    add("save", "root", { dependencies: ["ma", "mb", "mc", "md", "me", "mf", "mg"] });
    const graph = build();
    const words = (name: string): string => describeRelations(relationsOf(graph).get(`a:${name}`));
    expect(words("save")).toBe("Depends on ma, mb, mc, md and 3 more.");
    expect(words("ma")).toBe("Needed by save.");
  });
});
