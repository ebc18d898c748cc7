import { expect, test } from "vitest";
import { criticalPath } from "../../src/actions/criticalPath";
import type { ActionData } from "../../src/actions/forest";

const time = (second: number): string => new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();

/** An action that ended at this second; null if running, undefined if waiting. */
function action(name: string, end: number | null | undefined, ...dependencies: string[]): ActionData {
  return {
    ...{ id: name, revision: 1, name, phase: "RUNNING", createdAt: time(0), dependencies },
    startedAt: end === undefined ? null : time(0),
    endedAt: typeof end === "number" ? time(end) : null,
  };
}

const path = (...actions: ActionData[]): string[] => [...criticalPath(actions)].reverse();

test("it goes from the last end back through the dependency that ended last", () => {
  const actions = [
    action("load", 5),
    action("check", 2),
    action("train", 20, "load", "check"),
    action("report", 25, "train", "check"),
    action("aside", 24, "load"),
  ];
  expect(path(...actions)).toEqual(["load", "train", "report"]);
});

test("without dependencies it is empty", () => {
  expect(path(action("a", 1), action("b", 2))).toEqual([]);
  expect(path()).toEqual([]);
});

test("an action without dependencies and dependents is ignored, even if it ends last", () => {
  expect(path(action("root", 99), action("a", 1), action("b", 2, "a"))).toEqual(["a", "b"]);
});

test("a running action ends after all finished ones", () => {
  expect(path(action("a", 9), action("b", 30, "a"), action("c", null, "a"))).toEqual(["a", "c"]);
});

test("an action that did not start is ignored", () => {
  expect(path(action("a", 9), action("b", undefined, "a"))).toEqual(["a"]);
});

test("an unknown dependency is skipped", () => {
  expect(path(action("a", 1), action("b", 2, "gone", "a"))).toEqual(["a", "b"]);
});

test("circular dependencies end the path", () => {
  expect(path(action("a", 1, "b"), action("b", 2, "a"))).toEqual(["a", "b"]);
});

test("it iterates over the actions once", () => {
  function* actions(): Generator<ActionData> {
    yield action("a", 1);
    yield action("b", 2, "a");
  }
  expect(criticalPath(actions())).toEqual(new Set(["b", "a"]));
});
