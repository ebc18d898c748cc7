import { describe, expect, test } from "vitest";
import type { TaskGridQuery } from "../../src/gql/graphql";
import { readTask, taskLink, taskOf, titleOf } from "../../src/history/task";
import { comparison, percentile, trendOf, usualOf } from "../../src/history/usual";
import { failingRows, gridOf, scaleOf, versionChanges } from "../../src/tasks/grid";

type Answer = TaskGridQuery["runGrid"];
type Phase = Answer["runs"][number]["phase"];

const SIGNS: Record<string, Phase> = { s: "SUCCEEDED", F: "FAILED", r: "RUNNING", a: "ABORTED" };

/** The answer of the server; each step has a sign for each run, the newest on the right. */
function answer(versions: string[], steps: Record<string, string>): Answer {
  const runs = versions.map((version, number) => ({
    ...{
      id: `r${number}`,
      project: "p",
      domain: "d",
      name: `r${number}`,
      cursor: "",
      phase: "FAILED" as const,
    },
    createdAt: `2026-01-0${number + 1}T00:00:00Z`,
    task: { name: "nightly", version },
    ...{ startedAt: null, endedAt: null, durationMs: null, functionName: null, error: null },
  }));
  const rows = Object.entries(steps).map(([indented, signs]) => ({
    kind: "ACTION" as const,
    name: indented.trim(),
    depth: indented.length - indented.trimStart().length,
    cells: Array.from(signs)
      .reverse()
      .flatMap((sign, run) => {
        const phase = SIGNS[sign];
        const failed = phase === "FAILED" ? 1 : 0;
        const error = failed ? { code: "E", summary: `row ${run} is wrong` } : null;
        return phase
          ? [{ run, name: indented.trim(), phase, actions: 1, failed, error, startedAt: null, endedAt: null }]
          : [];
      }),
  }));
  return { isComplete: true, runs: runs.reverse(), rows };
}

describe("a grid", () => {
  const grid = gridOf(
    answer(["v1", "v1", "v2", "v2"], {
      root: "sFFr",
      " load": "ssss",
      " check": "sF F",
      "  part": "FssF",
      " end": "ssaF",
    }),
  );

  test("has the newest run at the right, and nothing where a run has no such action", () => {
    expect(grid.runs.map(({ name }) => name)).toEqual(["r0", "r1", "r2", "r3"]);
    const check = grid.rows.find(({ name }) => name === "check");
    expect(check?.cells.map((cell) => cell?.phase ?? null)).toEqual(["SUCCEEDED", "FAILED", null, "FAILED"]);
  });

  test("says since when each step fails, whatever the run in progress did not reach", () => {
    const failures = grid.rows.map(({ name, failure }) => [
      name,
      failure?.history.count,
      failure?.history.first.name,
    ]);
    expect(failures).toEqual([
      ["root", 2, "r1"],
      ["load", undefined, undefined],
      ["check", 2, "r1"],
      ["part", 1, "r3"],
      ["end", 1, "r3"],
    ]);
    const [part, end] = grid.rows.slice(3).map(({ failure }) => failure?.history);
    expect([part?.successes, part?.same?.name, part?.versions]).toEqual([2, "r0", null]);
    expect([end?.before?.name, end?.same, end?.versions]).toEqual(["r1", null, { from: "v1", to: "v2" }]);
  });

  test("names the steps that failed, not those above them", () => {
    expect(failingRows(grid.rows).map(({ name }) => name)).toEqual(["part", "end"]);
    const deep = gridOf(
      answer(["v1"], { root: "F", " a": "F", "  b": "F", "   c": "F", "  d": "s", " e": "s", " f": "F" }),
    );
    expect(failingRows(deep.rows).map(({ name }) => name)).toEqual(["c", "f"]);
  });

  test("marks where the version of the task changed", () => {
    expect(versionChanges(grid.runs)).toEqual([
      { column: 0, version: "v1" },
      { column: 2, version: "v2" },
    ]);
  });

  test("rows of the same name below different parents have keys of their own", () => {
    const twice = answer(["v1"], { root: "s", " a": "s", "  part": "s", " b": "s" });
    const rows = gridOf({ ...twice, rows: [...twice.rows, ...twice.rows.slice(2, 3)] }).rows;
    expect(new Set(rows.map(({ key }) => key)).size).toBe(5);
  });

  test("one long run does not flatten the others", () => {
    const runs = [10, 12, 900].map((durationMs) => ({ durationMs }));
    expect([scaleOf(runs, 12), scaleOf(runs, null), scaleOf([], null)]).toEqual([36, 900, 1]);
  });
});

describe("usual durations", () => {
  const runs = (...durations: number[]) =>
    durations.map((durationMs) => ({ phase: "SUCCEEDED", durationMs }));

  test("are nearest ranks, as those of the server", () => {
    expect([1, 2, 3, 4].map((_, at, all) => percentile(all.slice(0, at + 1), 50))).toEqual([1, 1, 2, 2]);
    const hundred = runs(...Array.from({ length: 100 }, (_, at) => 100 - at));
    expect(usualOf(hundred)).toEqual({ count: 100, p50: 50, p95: 95 });
  });

  test("are of runs that succeeded, and of more than two", () => {
    const failed = { phase: "FAILED", durationMs: 900 };
    expect(usualOf([...runs(3, 1, 2), failed])).toEqual({ count: 3, p50: 2, p95: 3 });
    expect(usualOf([...runs(1, 2), failed])).toBeNull();
  });

  test("are compared where the difference matters", () => {
    const usual = { count: 9, p50: 100, p95: 200 };
    expect([230, 1_234, 110, 40].map((ms) => comparison(ms, usual))).toEqual([
      "2.3 ×",
      "12 ×",
      null,
      "40 % of",
    ]);
    expect(comparison(5, { count: 9, p50: 0, p95: 0 })).toBeNull();
  });

  test("have a trend: the newer half against the older half", () => {
    expect(trendOf(runs(120, 120, 120, 100, 100, 100))).toBe(20);
    expect(trendOf(runs(50, 50, 50, 9, 100, 100, 100))).toBe(-50);
    expect(trendOf(runs(1, 2, 3, 4))).toBeNull();
  });
});

describe("the address of a task", () => {
  const place = { project: "a/b", domain: "d" };
  test.each([
    [{ ...place, taskName: "nightly" }, "nightly"],
    [{ ...place, taskName: "" }, ""],
    [{ ...place, functionName: "main.run" }, "main.run"],
    [{ ...place, taskName: undefined }, "(no task)"],
  ])("leads back to it: %j", (task, title) => {
    const link = taskLink(task);
    const search = "search" in link ? link.search : undefined;
    expect(readTask(link.params, !!search?.function)).toEqual(task);
    expect(titleOf(task)).toBe(title);
  });

  test("a run that names a task belongs to it, whatever function it names", () => {
    expect(taskOf({ ...place, task: { name: "nightly" }, functionName: "f" })).toEqual({
      ...place,
      taskName: "nightly",
    });
    expect(taskOf({ ...place, functionName: "f" })).toEqual({ ...place, functionName: "f" });
  });
});
