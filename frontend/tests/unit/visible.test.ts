import { beforeEach, describe, expect, test } from "vitest";
import { type ActionData, Forest } from "../../src/actions/forest";
import { type TreeFilter, isFiltering, visibleLines } from "../../src/actions/visible";

const NO_FILTER: TreeFilter = { text: "", phases: [] };

let forest: Forest;

function add(name: string, parentName?: string, rest: Partial<ActionData> = {}): void {
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
  forest.apply({ kind: "CHANGE", cursor: "", rows: [row], removed: [] });
}

function addMany(count: number, parentName: string, group?: string): void {
  for (let at = 0; at < count; at += 1) add(`${group ?? parentName}-${at}`, parentName, { group });
}

/** The lines as text: indented, `>` where one is folded, `~` where it is only on the way to another. */
function lines(
  filter: Partial<TreeFilter> = {},
  byUser: Record<string, boolean> = {},
  settled: Record<string, boolean> = {},
): string[] {
  const folds = { byUser: new Map(Object.entries(byUser)), settled: new Map(Object.entries(settled)) };
  const shown = visibleLines(forest, folds, { ...NO_FILTER, ...filter });
  return shown.map(({ node, depth, isOpen, isPath }) => {
    const folded = node.children.length && !isOpen ? ">" : "";
    return `${".".repeat(depth)}${isPath ? "~" : ""}${folded}${node.name}`;
  });
}

const groupKey = (name: string): string =>
  [...forest.nodes.values()].find((node) => !node.action && node.name === name)?.key ?? "";

beforeEach(() => {
  forest = new Forest((flush) => flush());
  add("root");
  add("load", "root");
  add("map-1", "root", { group: "map", phase: "FAILED" });
  add("map-2", "root", { group: "map" });
  add("inner", "map-1");
  add("save", "root", { phase: "QUEUED" });
});

describe("folds", () => {
  test("a small run is open all over", () => {
    expect(lines()).toEqual(["root", ".load", ".map", "..map-1", "...inner", "..map-2", ".save"]);
  });

  test("what the user closed hides all that is below it", () => {
    expect(lines({}, { "a:map-1": false })).toEqual([
      "root",
      ".load",
      ".map",
      "..>map-1",
      "..map-2",
      ".save",
    ]);
    expect(lines({}, { "a:root": false })).toEqual([">root"]);
  });

  test("a line without anything below it is never open, whatever was said of it", () => {
    const folds = { byUser: new Map([["a:load", true]]), settled: new Map() };
    const shown = visibleLines(forest, folds, NO_FILTER);
    expect(shown.find(({ node }) => node.name === "load")?.isOpen).toBe(false);
  });

  test("several roots are all shown, each with what is below it", () => {
    add("second");
    add("child", "second");
    expect(lines({}, { "a:root": false })).toEqual([">root", "second", ".child"]);
  });
});

describe("what is open that nobody touched", () => {
  test("in a run of sixty actions everything is, however many members a group has", () => {
    addMany(54, "root", "wide");
    expect(forest.size).toBe(60);
    expect(lines()).toContain("..wide-53");
  });

  test("in a larger one groups of a dozen and more are folded, smaller ones are not", () => {
    addMany(44, "save");
    addMany(12, "root", "dozen");
    addMany(11, "root", "eleven");
    expect(lines()).toContain(".>dozen");
    expect(lines()).toContain(".eleven");
    expect(lines()).not.toContain("..dozen-0");
  });

  test("with more than five hundred actions all groups are folded, and actions are not", () => {
    addMany(494, "save");
    expect(lines()).toContain(".map");
    add("one-more", "save");
    expect(lines()).toContain(".>map");
    expect(lines()).toContain("..one-more");
  });

  test("what was settled when a group was first seen holds as it grows, until the user says otherwise", () => {
    addMany(600, "root", "wide");
    const key = groupKey("wide");
    expect(lines({}, {}, { [key]: true })).toContain("..wide-599");
    expect(lines({}, { [key]: false }, { [key]: true })).toContain(".>wide");
    expect(lines({}, {}, { [groupKey("map")]: true })).toContain("..map-1");
  });

  test("a search opens what was settled as folded", () => {
    expect(lines({ text: "inner" }, {}, { [groupKey("map")]: false })).toContain("...inner");
  });

  test("the user's word counts in a large run, too", () => {
    addMany(600, "root", "wide");
    expect(lines({}, { [groupKey("wide")]: true })).toContain("..wide-599");
  });
});

describe("filters", () => {
  test("a filter of blanks filters nothing", () => {
    expect(isFiltering({ text: "  ", phases: [] })).toBe(false);
    expect(isFiltering({ text: "x", phases: [] })).toBe(true);
    expect(isFiltering({ text: "", phases: ["FAILED"] })).toBe(true);
    expect(lines({ text: "  " })).toHaveLength(7);
  });

  test("what matches is shown with everything above it, marked as only the way there", () => {
    expect(lines({ text: "inner" })).toEqual(["~root", ".~map", "..~map-1", "...inner"]);
  });

  test("neither case nor blanks around the text matter", () => {
    expect(lines({ text: " SaVe " })).toEqual(["~root", ".save"]);
  });

  test("a match above another match is a match", () => {
    add("load-part", "load");
    expect(lines({ text: "load" })).toEqual(["~root", ".load", "..load-part"]);
  });

  test("a match whose descendant was seen first is a match all the same", () => {
    forest = new Forest((flush) => flush());
    add("x-child", "x-parent");
    add("x-parent");
    expect(lines({ text: "x-" })).toEqual(["x-parent", ".x-child"]);
  });

  test("members of a group match by the group's name", () => {
    add("odd-name", "root", { group: "map" });
    expect(lines({ text: "map" })).toEqual(["~root", ".~map", "..map-1", "..map-2", "..odd-name"]);
  });

  test("of several phases any will do, and text and phase must both fit", () => {
    expect(lines({ phases: ["FAILED", "QUEUED"] })).toEqual(["~root", ".~map", "..map-1", ".save"]);
    expect(lines({ phases: ["FAILED", "QUEUED"], text: "map" })).toEqual(["~root", ".~map", "..map-1"]);
    expect(lines({ phases: ["ABORTED"] })).toEqual([]);
  });

  test("matches in a large run are shown though their group would be folded, unless the user folds it", () => {
    addMany(600, "root", "wide");
    expect(lines({ text: "wide-599" })).toEqual(["~root", ".~wide", "..wide-599"]);
    expect(lines({ text: "wide-599" }, { [groupKey("wide")]: false })).toEqual(["~root", ".~>wide"]);
  });
});
