import { describe, expect, test } from "vitest";
import { type FailableData, failureGroups, kindOf } from "../../src/actions/failures";
import { Forest } from "../../src/actions/forest";
import { type TaskRun, failureHistory } from "../../src/history/failureHistory";

let revision = 0;
const action = (name: string, parentName: string | null, phase: string, rest = {}): FailableData => ({
  id: name,
  revision: ++revision,
  name,
  parentName,
  phase,
  createdAt: "2026-01-01T00:00:00Z",
  dependencies: [],
  ...rest,
});

function groupsOf(...rows: FailableData[]) {
  const forest = new Forest<FailableData>((flush) => flush());
  forest.apply({ kind: "SNAPSHOT", cursor: "", removed: [], rows });
  return failureGroups(forest);
}

const oom = (n: number, second: number) => ({
  error: { code: "OOM", summary: `needs ${n} MiB at 0x${n}f` },
  endedAt: `2026-01-01T00:00:${second}Z`,
});

describe("the groups of failures", () => {
  test("are of what failed first, by errors without their numbers, the largest first", () => {
    const groups = groupsOf(
      action("root", null, "FAILED", { error: { summary: "children failed" } }),
      action("outer", "root", "FAILED", { error: { summary: "children failed" } }),
      action("one", "root", "TIMED_OUT"),
      action("two", "outer", "FAILED", oom(17, 30)),
      action("three", "outer", "FAILED", oom(4, 20)),
      action("fine", "outer", "SUCCEEDED"),
      action("skipped", "outer", "SKIPPED", { error: { summary: "not needed" } }),
    );
    expect(groups.map(({ first, count, error }) => [first, count, error?.summary])).toEqual([
      ["three", 2, "needs 4 MiB at 0x4f"],
      ["one", 1, undefined],
    ]);
  });

  test("are none if only the root failed", () => {
    expect(groupsOf(action("root", null, "FAILED"), action("a", "root", "SUCCEEDED"))).toEqual([]);
  });

  test("words are told apart, ids are not", () => {
    const kind = (summary: string): string => kindOf({ code: "E", summary });
    expect(kind("no file a.csv")).not.toBe(kind("no file b.csv"));
    expect(kind("row 12 of 9f3c-77")).toBe(kind("row 3 of 1b-2c"));
    expect(kind("trial_12 of v2.5")).toBe(kind("trial_7 of v3.14"));
    expect(kind("feed face")).not.toBe(kind("dead beef"));
  });
});

const run = (name: string, phase: string, version = "v1", summary = "no such row"): TaskRun => ({
  project: "p",
  domain: "d",
  name,
  phase,
  createdAt: "2026-01-01T00:00:00Z",
  task: { version },
  error: phase === "FAILED" ? { code: "E", summary } : null,
});

describe("the history of a failed run", () => {
  const failed = run("now", "FAILED", "v2");

  test("a failure after a success is new", () => {
    const history = failureHistory(failed, [run("a", "SUCCEEDED", "v2"), run("b", "FAILED")]);
    expect(history).toMatchObject({ first: failed, count: 1, before: { name: "a" }, versions: null });
  });

  test("failures in a row go back to the last success, whatever was aborted in between", () => {
    const history = failureHistory(failed, [
      run("a", "FAILED", "v2", "row 7 is wrong"),
      run("b", "ABORTED"),
      run("c", "TIMED_OUT", "v2"),
      run("d", "RECOVERED", "v1"),
      run("e", "FAILED"),
    ]);
    expect(history).toMatchObject({
      first: { name: "c" },
      count: 3,
      before: { name: "d" },
      versions: { from: "v1", to: "v2" },
      other: { name: "a" },
    });
  });

  test("an error is new, or was in a run before the last success", () => {
    const earlier = [
      run("a", "SUCCEEDED"),
      run("b", "RECOVERED"),
      run("c", "ABORTED"),
      run("d", "FAILED", "v1", "row 3 is wrong"),
    ];
    const history = failureHistory(failed, [...earlier, run("e", "FAILED")]);
    expect(history).toMatchObject({ count: 1, successes: 2, same: { name: "e" }, other: null });
    expect(failureHistory(failed, earlier).same).toBeNull();
    expect(failureHistory(run("now", "FAILED", "v1", "row 4 is wrong"), earlier).same).toMatchObject({
      name: "d",
    });
  });

  test("without a success there is none to compare with", () => {
    expect(failureHistory(failed, [run("a", "FAILED")])).toMatchObject({ before: null, versions: null });
  });
});
