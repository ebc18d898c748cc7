import { describe, expect, test } from "vitest";
import { Forest } from "../../src/actions/forest";
import { readSide, readTyped } from "../../src/live/sides";
import {
  type ComparedData,
  differenceOf,
  factorOf,
  firstDivergence,
  inOrder,
} from "../../src/compare/difference";
import { matchActions } from "../../src/compare/match";

const START = Date.UTC(2026, 0, 1);
const at = (second: number): string => new Date(START + second * 1_000).toISOString();

interface Row {
  name: string;
  parent?: string;
  group?: string;
  phase?: string;
  /** Seconds from start to end. */
  ran?: [number, number];
  error?: string;
  attempts?: number;
}

function forestOf(rows: Row[]): Forest<ComparedData> {
  const forest = new Forest<ComparedData>((flush) => flush());
  const actions = rows.map(
    ({ name, parent, group, phase = "SUCCEEDED", ran = [1, 2], error, attempts = 1 }, n) => ({
      ...{ id: name, revision: 1, name, parentName: parent ?? null, group: group ?? null, phase, attempts },
      ...{
        type: "TASK",
        dependencies: [],
        createdAt: at(n / 1_000),
        startedAt: at(ran[0]),
        endedAt: at(ran[1]),
      },
      error: error === undefined ? null : { code: null, summary: error },
    }),
  );
  forest.apply({ kind: "SYNCED", cursor: "", rows: actions, removed: [] });
  return forest;
}

function finish<Result>(steps: Iterator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const pairsOf = (before: Row[], after: Row[]) => finish(matchActions(forestOf(before), forestOf(after)));
const shown = (before: Row[], after: Row[]): string[] =>
  pairsOf(before, after)
    .map(({ before, after, byName }) => `${before?.name ?? "-"} ${byName ? "=" : "~"} ${after?.name ?? "-"}`)
    .sort();

describe("matching", () => {
  test("roots match whatever their names, others by name wherever they are", () => {
    const before = [{ name: "run-1" }, { name: "load", parent: "run-1" }, { name: "old", parent: "run-1" }];
    const after = [{ name: "run-2" }, { name: "stage", parent: "run-2" }, { name: "load", parent: "stage" }];
    expect(shown(before, after)).toEqual(["- = stage", "load = load", "old = -", "run-1 ~ run-2"]);
  });

  test("names with ids match by their place below the same parent", () => {
    const tree = (run: string, ids: string[]): Row[] => [
      { name: `root-${run}` },
      { name: `part-${ids[0] ?? ""}`, parent: `root-${run}`, group: "parts" },
      { name: `part-${ids[1] ?? ""}`, parent: `root-${run}`, group: "parts" },
      { name: `inner-${ids[2] ?? ""}`, parent: `part-${ids[1] ?? ""}` },
    ];
    expect(shown(tree("1", ["3fa9", "4c0b", "9d1e"]), tree("2", ["77e1", "88f2", "99a3"]))).toEqual([
      "inner-9d1e ~ inner-99a3",
      "part-3fa9 ~ part-77e1",
      "part-4c0b ~ part-88f2",
      "root-1 ~ root-2",
    ]);
  });

  test("equal names go before places, and what is left is on one side only", () => {
    const parts = (numbers: number[]): Row[] => [
      { name: "root" },
      ...numbers.map((n) => ({ name: `trial-${n}`, parent: "root" })),
    ];
    expect(shown(parts([1, 2, 3]), parts([2, 3, 4, 5]))).toEqual([
      "- = trial-5",
      "root = root",
      "trial-1 ~ trial-4",
      "trial-2 = trial-2",
      "trial-3 = trial-3",
    ]);
  });

  test("a name of the one run that is a parent of the other does not match twice", () => {
    const pairs = pairsOf(
      [{ name: "a" }, { name: "b", parent: "a" }],
      [{ name: "b" }, { name: "a", parent: "b" }],
    );
    expect(pairs.map(({ before, after }) => [before?.name, after?.name])).toEqual([
      ["a", "b"],
      [undefined, "a"],
      ["b", undefined],
    ]);
  });

  test("each action is in one pair, in runs of 5,000 actions", () => {
    const many = (from: number): Row[] => [
      { name: "root" },
      ...Array.from({ length: 5_000 }, (_, n) => ({
        name: `item-${n + from}`,
        parent: "root",
        group: "items",
      })),
    ];
    const pairs = pairsOf(many(0), many(1_000));
    expect(new Set(pairs.map(({ after }) => after?.name)).size).toBe(5_001);
    expect(new Set(pairs.map(({ before }) => before?.name)).size).toBe(5_001);
    expect(pairs.filter(({ byName }) => byName)).toHaveLength(4_001);
  });
});

describe("differences", () => {
  const row = (rest: Partial<Row>): Row[] => [{ name: "root" }, { name: "step", parent: "root", ...rest }];
  test.each([
    [{}, { phase: "FAILED" }, "fails"],
    [{ phase: "FAILED", error: "no row 7" }, { phase: "FAILED", error: "no row 9" }, "same"],
    [{ phase: "FAILED", error: "no row 7" }, { phase: "TIMED_OUT", error: "too late" }, "error"],
    [{ phase: "FAILED" }, {}, "fixed"],
    [{ phase: "FAILED" }, { phase: "RUNNING" }, "phase"],
    [{}, { phase: "SKIPPED" }, "phase"],
    [{ ran: [1, 11] }, { ran: [1, 31] }, "slower"],
    [{ ran: [1, 11] }, { ran: [1, 15] }, "same"],
    [{ ran: [1, 1.01] }, { ran: [1, 1.9] }, "same"],
    [{ ran: [1, 31] }, { ran: [1, 11] }, "faster"],
    [{}, { attempts: 3 }, "attempts"],
  ] as [Partial<Row>, Partial<Row>, string][])("%j and %j: %s", (before, after, kind) => {
    const [, step] = pairsOf(row(before), row(after)).map(differenceOf);
    expect(step?.kind).toBe(kind);
  });

  test("the most telling come first, and the largest change of time first", () => {
    const before: Row[] = [
      { name: "root" },
      { name: "gone", parent: "root" },
      { name: "slow", parent: "root", ran: [0, 10] },
      { name: "slowest", parent: "root", ran: [0, 10] },
      { name: "bad", parent: "root" },
    ];
    const after: Row[] = [
      { name: "root" },
      { name: "slow", parent: "root", ran: [0, 20] },
      { name: "slowest", parent: "root", ran: [0, 90] },
      { name: "bad", parent: "root", phase: "FAILED" },
      { name: "new", parent: "root" },
    ];
    const order = inOrder(pairsOf(before, after).map(differenceOf)).map(
      ({ before, after }) => (after ?? before)?.name,
    );
    expect(order).toEqual(["bad", "new", "gone", "slowest", "slow", "root"]);
  });

  test("runs part at the first other outcome, and below what failed because of it", () => {
    const tree = (rest: Partial<Row>): Row[] => [
      { name: "root", ran: [0, 60], phase: rest.phase ?? "SUCCEEDED" },
      { name: "early", parent: "root", ran: [0, rest.phase ? 8 : 4] },
      { name: "stage", parent: "root", ran: [5, 40], phase: rest.phase ?? "SUCCEEDED" },
      { name: "inner", parent: "stage", ran: [10, 40], ...rest },
      { name: "late", parent: "root", ran: [50, 55], phase: rest.phase ?? "SUCCEEDED" },
    ];
    const [before, after] = [forestOf(tree({})), forestOf(tree({ phase: "FAILED" }))];
    const differences = finish(matchActions(before, after)).map(differenceOf);
    const { outcome, slower } = firstDivergence(differences, before.firstMs, after.firstMs);
    expect([outcome?.difference.after?.name, outcome?.at]).toEqual(["inner", 40_000]);
    expect([slower?.difference.after?.name, slower?.at]).toEqual(["early", 4_000]);
  });

  test("changes of time are factors", () => {
    expect(factorOf(10_000, 32_000)).toBe("×3.2");
    expect(factorOf(32_000, 16_000)).toBe("÷2");
    expect(factorOf(0, 60_000)).toBe("×60,000");
    expect([factorOf(10, 900), factorOf(null, 5), factorOf(10_000, 12_000)]).toEqual(["", "", ""]);
  });
});

test("sides are names or pasted addresses", () => {
  expect(readSide("p/d/n")).toEqual({ project: "p", domain: "d", name: "n", action: undefined });
  expect(readSide("p/d/a~1b/step")).toEqual({ project: "p", domain: "d", name: "a/b", action: "step" });
  for (const wrong of [undefined, "", "p", "p/d", "p/d/n/a/b", "//"]) expect(readSide(wrong)).toBeNull();
  expect(readTyped(" https://x.test/base/runs/p/d/a%20b?view=graph&action=s ")).toEqual({
    ...{ project: "p", domain: "d", name: "a b", action: "s" },
  });
  expect(readTyped("https://x.test/runs/p/d/n/logs")?.name).toBe("n");
  for (const wrong of ["https://x.test/tasks", "http://", "https://x.test/runs/p/d/%"])
    expect(readTyped(wrong)).toBeNull();
});
