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

/** The lines as text: indented, `>` for collapsed, `~` for an ancestor of a match. */
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

describe("expanding and collapsing", () => {
  test("a small run is fully expanded", () => {
    expect(lines()).toEqual(["root", ".load", ".map", "..map-1", "...inner", "..map-2", ".save"]);
  });

  test("a collapsed line hides its descendants", () => {
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

  test("a line without children is never expanded", () => {
    const folds = { byUser: new Map([["a:load", true]]), settled: new Map() };
    const shown = visibleLines(forest, folds, NO_FILTER);
    expect(shown.find(({ node }) => node.name === "load")?.isOpen).toBe(false);
  });

  test("several roots are shown with their descendants", () => {
    add("second");
    add("child", "second");
    expect(lines({}, { "a:root": false })).toEqual([">root", "second", ".child"]);
  });
});

describe("the default expanded state", () => {
  test("a run of sixty actions is fully expanded, whatever the size of its groups", () => {
    addMany(54, "root", "wide");
    expect(forest.size).toBe(60);
    expect(lines()).toContain("..wide-53");
  });

  test("in a larger run, groups of a dozen or more are collapsed, smaller ones are not", () => {
    addMany(44, "save");
    addMany(12, "root", "dozen");
    addMany(11, "root", "eleven");
    expect(lines()).toContain(".>dozen");
    expect(lines()).toContain(".eleven");
    expect(lines()).not.toContain("..dozen-0");
  });

  test("with more than five hundred actions all groups are collapsed, and actions are not", () => {
    addMany(494, "save");
    expect(lines()).toContain(".map");
    add("one-more", "save");
    expect(lines()).toContain(".>map");
    expect(lines()).toContain("..one-more");
  });

  test("the default of a group is kept as it grows, until the user changes it", () => {
    addMany(600, "root", "wide");
    const key = groupKey("wide");
    expect(lines({}, {}, { [key]: true })).toContain("..wide-599");
    expect(lines({}, { [key]: false }, { [key]: true })).toContain(".>wide");
    expect(lines({}, {}, { [groupKey("map")]: true })).toContain("..map-1");
  });

  test("a search expands groups collapsed by default", () => {
    expect(lines({ text: "inner" }, {}, { [groupKey("map")]: false })).toContain("...inner");
  });

  test("the user's choice counts in a large run too", () => {
    addMany(600, "root", "wide");
    expect(lines({}, { [groupKey("wide")]: true })).toContain("..wide-599");
  });
});

describe("filters", () => {
  test("a blank filter matches everything", () => {
    expect(isFiltering({ text: "  ", phases: [] })).toBe(false);
    expect(isFiltering({ text: "x", phases: [] })).toBe(true);
    expect(isFiltering({ text: "", phases: ["FAILED"] })).toBe(true);
    expect(lines({ text: "  " })).toHaveLength(7);
  });

  test("matches are shown with their ancestors, which are marked", () => {
    expect(lines({ text: "inner" })).toEqual(["~root", ".~map", "..~map-1", "...inner"]);
  });

  test("case and surrounding blanks are ignored", () => {
    expect(lines({ text: " SaVe " })).toEqual(["~root", ".save"]);
  });

  test("an ancestor that matches is a match", () => {
    add("load-part", "load");
    expect(lines({ text: "load" })).toEqual(["~root", ".load", "..load-part"]);
  });

  test("a match is a match even if its descendant was seen first", () => {
    forest = new Forest((flush) => flush());
    add("x-child", "x-parent");
    add("x-parent");
    expect(lines({ text: "x-" })).toEqual(["x-parent", ".x-child"]);
  });

  test("members of a group match by the group's name", () => {
    add("odd-name", "root", { group: "map" });
    expect(lines({ text: "map" })).toEqual(["~root", ".~map", "..map-1", "..map-2", "..odd-name"]);
  });

  test("any of several phases matches, and text and phase must both match", () => {
    expect(lines({ phases: ["FAILED", "QUEUED"] })).toEqual(["~root", ".~map", "..map-1", ".save"]);
    expect(lines({ phases: ["FAILED", "QUEUED"], text: "map" })).toEqual(["~root", ".~map", "..map-1"]);
    expect(lines({ phases: ["ABORTED"] })).toEqual([]);
  });

  test("matches in a large run are shown in groups collapsed by default, unless the user collapsed them", () => {
    addMany(600, "root", "wide");
    expect(lines({ text: "wide-599" })).toEqual(["~root", ".~wide", "..wide-599"]);
    expect(lines({ text: "wide-599" }, { [groupKey("wide")]: false })).toEqual(["~root", ".~>wide"]);
  });
});
