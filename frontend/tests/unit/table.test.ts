import { expect, test } from "vitest";
import type { Action, ActionForest } from "../../src/actions/useForest";
import { Forest } from "../../src/actions/forest";
import { readSort, readTableSearch, writeSort } from "../../src/tables/address";
import { builtIn, type Cell, columnOf, type Context, idOf } from "../../src/tables/columns";
import { textOfTable } from "../../src/tables/csv";
import { axesFor, defaultColumns, type Found, isLowerBetter, resultColumns } from "../../src/tables/found";
import { nearest, pointsOf } from "../../src/tables/points";
import { choicesOf, rangeOf, rowsOf, sorted } from "../../src/tables/rows";
import { bestOf, summaryOf } from "../../src/tables/summary";

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
const NOW = Date.parse(at(1_000));

function action(name: string, rest: Partial<Action> = {}): Action {
  return {
    id: name,
    revision: 1,
    name,
    parentName: name === "root" ? null : "root",
    group: null,
    type: "TASK",
    phase: "SUCCEEDED",
    attempts: 1,
    dependencies: [],
    createdAt: at(0),
    startedAt: at(10),
    endedAt: at(20),
    error: null,
    progress: null,
    ...rest,
  } as Action;
}

const context = (values: Record<string, Cell> = {}, runEnd: number | null = null): Context => ({
  now: NOW,
  runEnd,
  valueOf: (name, column) => values[`${name} ${column}`] ?? values[name] ?? null,
});

function forestOf(...actions: Action[]): ActionForest {
  const forest = new Forest<Action>((flush) => flush());
  forest.apply({ kind: "SYNCED", cursor: "", removed: [], rows: actions });
  return forest;
}

const found = (source: Found["source"], path: string, rest: Partial<Found> = {}): Found => ({
  source,
  path: [path],
  actions: 10,
  numbers: 10,
  distinct: 5,
  unit: null,
  ...rest,
});

const LR = columnOf("spec:lr");
const names = (rows: readonly Action[]): string[] => rows.map(({ name }) => name);

test("ids of columns keep paths whose keys have dots", () => {
  for (const path of [["a", "b.c"], ["x"], ["..", "y"]]) {
    const id = idOf({ source: "SPEC", path });
    expect(columnOf(id)?.read).toEqual({ source: "SPEC", path });
  }
  expect(idOf({ source: "SPEC", path: ["a", "b.c"] })).toBe("spec:a.b\\.c");
  expect(columnOf("metrics:val.loss/x:y")?.read).toEqual({ source: "METRICS", path: ["val.loss/x:y"] });
  for (const bad of ["", "spec:", "spec:a..b", "none:a", "constructor:a", "spec:a.b.c.d.e"]) {
    expect(columnOf(bad), bad).toBeNull();
  }
});

test("the address holds columns, rows, order and plot", () => {
  expect(readTableSearch({ col: "run", sort: "-spec:lr", of: "all", x: "", other: "1" })).toEqual({
    of: "all",
    col: ["run"],
    sort: "-spec:lr",
    same: undefined,
    x: undefined,
    y: undefined,
    log: undefined,
  });
  expect(readSort("-spec:lr")).toEqual({ id: "spec:lr", descending: true });
  expect(writeSort({ id: "run", descending: false })).toBe("run");
});

test("rows are sorted as numbers, those without a value last in both directions, ties as they were", () => {
  const rows = ["t-10", "t-2", "none", "text", "same", "t-1"].map((name) => action(name));
  const values = context({ "t-10": 10, "t-2": 2, text: "x", same: 2, "t-1": -1 });
  if (!LR) throw new Error("there is no such column");
  expect(names(sorted(rows, LR, false, values))).toEqual(["t-1", "t-2", "same", "t-10", "text", "none"]);
  expect(names(sorted(rows, LR, true, values))).toEqual(["text", "t-10", "t-2", "same", "t-1", "none"]);
  const name = builtIn.get("name");
  if (!name) throw new Error("there is no such column");
  expect(names(sorted(rows, name, false, values)).slice(2)).toEqual(["t-1", "t-2", "t-10", "text"]);
  expect(rangeOf(rows, LR, values)).toEqual({ min: -1, max: 10 });
  expect(rangeOf([action("t-1")], LR, values)).toBeNull();
});

test("run and queued times end with the run, and are unknown where nothing says them", () => {
  const [run, queued] = [builtIn.get("run"), builtIn.get("queued")];
  const of = (rest: Partial<Action>, runEnd: number | null = null) => {
    const row = action("a", rest);
    return [run?.value(row, context({}, runEnd)), queued?.value(row, context({}, runEnd))];
  };
  expect(of({})).toEqual([10_000, 10_000]);
  expect(of({ attempts: 2 })).toEqual([10_000, null]);
  expect(of({ phase: "RUNNING", endedAt: null })).toEqual([990_000, 10_000]);
  expect(of({ phase: "RUNNING", endedAt: null }, Date.parse(at(50)))).toEqual([40_000, 10_000]);
  expect(of({ phase: "QUEUED", startedAt: null, endedAt: null })).toEqual([null, 1_000_000]);
  expect(of({ phase: "SKIPPED", startedAt: null })).toEqual([null, null]);
});

test("rows are those without children, of a group, of a parent, or with the same error", () => {
  const failed = (summary: string): Partial<Action> => ({ phase: "FAILED", error: { code: null, summary } });
  const forest = forestOf(
    action("root"),
    action("t0", { group: "trials", ...failed("NaN at step 12") }),
    action("t1", { group: "trials", ...failed("NaN at step 7") }),
    action("t2", { group: "trials", ...failed("out of memory") }),
    action("load"),
    action("part", { parentName: "load" }),
  );
  const rows = (of?: string, filter = {}, same?: string) =>
    names(rowsOf(forest, of, { text: "", phases: [], ...filter }, same));
  expect(rows()).toEqual(["t0", "t1", "t2", "part"]);
  expect(rows("all")).toHaveLength(6);
  expect(rows("group:trials")).toEqual(["t0", "t1", "t2"]);
  expect(rows("parent:load")).toEqual(["part"]);
  expect(rows(undefined, { text: "TRIAL", phases: ["FAILED"] })).toHaveLength(3);
  expect(rows(undefined, {}, "t0")).toEqual(["t0", "t1"]);
  expect(choicesOf(forest).map(({ of, count }) => `${of} ${count}`)).toEqual([
    " 4",
    "all 6",
    "group:trials 3",
  ]);
});

test("the summary says how a run stands and estimates what is left from the median", () => {
  const ended = [10, 20, 30].map((s) => action(`t${s}`, { endedAt: at(10 + s) }));
  const running = action("r", { phase: "RUNNING", startedAt: at(995), endedAt: null });
  const queued = action("q", { phase: "QUEUED", startedAt: null, endedAt: null });
  const failed = action("f", { phase: "FAILED", endedAt: at(30) });
  const rows = [...ended, running, queued, failed];
  const summary = summaryOf(rows, context());
  expect(summary).toMatchObject({ total: 6, ended: 4, failed: 1, running: 1, median: 20_000 });
  expect(summary.slowest).toEqual({ name: "t30", ms: 30_000 });
  expect(summary.left).toBe(15_000 + 20_000);
  expect(summaryOf(rows, context({}, NOW)).left).toBeNull();
  expect(summaryOf([running, queued, ...ended.slice(1)], context()).left).toBeNull();
  expect(summaryOf([], context())).toMatchObject({ median: null, slowest: null, left: null });
  const values = context({ t10: 0.5, t20: 0.9, r: "x" });
  expect(bestOf(rows, "outputs:acc", false, values)).toEqual({ name: "t20", value: 0.9 });
  expect(bestOf(rows, "outputs:acc", true, values)).toEqual({ name: "t10", value: 0.5 });
});

test("columns that differ are shown first, and results are known by their names", () => {
  const all = [
    found("SPEC", "dataset", { numbers: 0, distinct: 1 }),
    found("SPEC", "lr"),
    found("SPEC", "note", { numbers: 0, distinct: 10 }),
    found("OUTPUTS", "val_acc"),
    found("METRICS", "loss"),
    found("METRICS", "rare", { actions: 1, numbers: 1, distinct: 1 }),
  ];
  expect(defaultColumns(all)).toEqual([
    ...["name", "phase", "run", "spec:lr", "spec:note", "outputs:val_acc", "metrics:loss", "error"],
  ]);
  expect(defaultColumns([])).toEqual(["name", "phase", "run", "error"]);
  expect(resultColumns(all).map(idOf)).toEqual(["outputs:val_acc", "metrics:loss"]);
  expect([isLowerBetter("metrics:loss"), isLowerBetter("outputs:val_acc")]).toEqual([true, false]);
  expect(axesFor(all)).toEqual({ x: "spec:lr", y: "outputs:val_acc", log: "x" });
  expect(axesFor([])).toEqual({ x: "started", y: "run" });
});

test("a file has all rows, quoted, with times and units, and no formulas", async () => {
  const columns = [builtIn.get("name"), builtIn.get("run"), builtIn.get("started"), LR].flatMap(
    (c) => c ?? [],
  );
  const many = Array.from({ length: 4_500 }, (_, n) => action(`n${n}`));
  const rows = [
    action('=1+1,"x"'),
    action("@a", { startedAt: null, endedAt: null, phase: "QUEUED" }),
    ...many,
  ];
  const values = context({ n0: -0.5, n1: "-cmd", n2: true, n3: "=a\nb" });
  const lines = (await textOfTable(rows, columns, values, ",")).join("").split("\r\n");
  expect(lines).toHaveLength(1 + rows.length + 1);
  expect(lines.slice(0, 7)).toEqual([
    "Action,Run time (s),Started,spec:lr",
    `"'=1+1,""x""",10,${at(10)},`,
    `"'@a",,,`,
    `n0,10,${at(10)},-0.5`,
    `n1,10,${at(10)},"'-cmd"`,
    `n2,10,${at(10)},true`,
    `n3,10,${at(10)},"'=a\nb"`,
  ]);
});

test("a plot has the rows with numbers in both columns, and finds the nearest", () => {
  const [run] = [builtIn.get("run")];
  if (!run || !LR) throw new Error("there is no such column");
  const rows = ["b", "a", "zero", "none"].map((name) => action(name));
  const values = context({ b: 3, a: 1, zero: 0 });
  const linear = pointsOf(rows, LR, run, values, { x: false, y: false });
  expect(linear.map(({ name }) => name)).toEqual(["zero", "a", "b"]);
  expect(pointsOf(rows, LR, run, values, { x: true, y: false }).map(({ name }) => name)).toEqual(["a", "b"]);
  const place = ({ x, y }: { x: number; y: number }) => ({ left: x * 10, top: y / 1_000 });
  expect(nearest(linear, { left: 12, top: 9 }, place, 14)).toBe(1);
  expect(nearest(linear, { left: 200, top: 9 }, place, 14)).toBe(-1);
});
