import { beforeEach, describe, expect, test } from "vitest";
import type { RunList } from "../../src/runs/runList";
import type { ListedRun } from "../../src/runs/runOrder";
import { StreamedList, run } from "./streamedList";

let stream: StreamedList;
let list: RunList<ListedRun>;

beforeEach(() => {
  stream = new StreamedList();
  ({ list } = stream);
});

describe("the order of the list", () => {
  test("the newest run is first, in whatever order runs arrive", () => {
    stream.begin(run(2), run(1), run(3));
    stream.change(run(5), run(4));
    expect(stream.ids).toEqual(["r5", "r4", "r3", "r2", "r1"]);
  });

  test("runs of the same time are ordered by id", () => {
    const at = (id: string): ListedRun => ({ ...run(1), id });
    stream.begin(at("b"), at("a"));
    stream.change(at("c"));
    expect(stream.ids).toEqual(["c", "b", "a"]);
  });

  test("microseconds count, also against a time without them", () => {
    const at = (id: string, createdAt: string): ListedRun => ({ id, revision: 1, createdAt });
    stream.begin(at("z", "2026-01-01T00:00:05Z"), at("a", "2026-01-01T00:00:05.000500Z"));
    stream.change(at("b", "2026-01-01T00:00:05.000400Z"));
    expect(stream.ids).toEqual(["a", "b", "z"]);
  });
});

test("times in different zones are compared as instants", () => {
  const at = (id: string, createdAt: string): ListedRun => ({ id, revision: 1, createdAt });
  stream.begin(at("old", "2026-01-01T02:00:00+02:00"), at("new", "2026-01-01T00:30:00Z"));
  expect(stream.ids).toEqual(["new", "old"]);
});

describe("revisions", () => {
  test("a newer revision replaces an older one in place", () => {
    stream.begin(run(2), run(1));
    stream.change(run(1, 7));
    expect(list.get("r1")?.revision).toBe(7);
    expect(stream.ids).toEqual(["r2", "r1"]);
  });

  test("a late older revision is ignored", () => {
    stream.begin(run(1, 5));
    stream.change(run(1, 4));
    expect(list.get("r1")?.revision).toBe(5);
  });

  test("an equal revision is applied, since related data may have changed", () => {
    stream.begin(run(1, 5));
    const again = run(1, 5);
    stream.change(again);
    expect(list.get("r1")).toBe(again);
  });
});

describe("a live list", () => {
  test("a run that no longer matches is removed", () => {
    stream.begin(run(2), run(1));
    stream.leave("r2", "r-unknown");
    expect(stream.ids).toEqual(["r1"]);
    expect(list.get("r2")).toBeUndefined();
    expect(list.isUnmatched("r2")).toBe(false);
  });

  test("it starts empty, without older runs", () => {
    expect(list.snapshot()).toEqual({ ids: [], waiting: 0, synced: false, hasOlder: false });
  });

  test("it is synced when the snapshot is complete", () => {
    stream.send("SNAPSHOT", { rows: [run(1)] });
    expect(list.snapshot().synced).toBe(false);
    stream.send("SYNCED");
    expect(list.snapshot().synced).toBe(true);
  });

  test("there are older runs if the snapshot is full", () => {
    stream.begin(run(2), run(1));
    expect(list.snapshot().hasOlder).toBe(false);
    stream.resync(run(3), run(2), run(1));
    expect(list.snapshot().hasOlder).toBe(true);
    stream.resync(run(2));
    expect(list.snapshot().hasOlder).toBe(false);
  });

  test("the view is referentially stable until something changes", () => {
    stream.begin(run(1));
    const before = list.snapshot();
    expect(list.snapshot()).toBe(before);
    stream.change(run(2));
    expect(list.snapshot()).not.toBe(before);
    expect(before.ids).toEqual(["r1"]);
  });

  test("listeners of a run are notified of that run only", () => {
    stream.begin(run(2), run(1));
    const notified: string[] = [];
    list.batch.listen("r1", () => notified.push("r1"));
    stream.change(run(2, 2));
    expect(notified).toEqual([]);
    stream.change(run(1, 2));
    expect(notified).toEqual(["r1"]);
    stream.resync(run(1, 3));
    expect(notified).toEqual(["r1", "r1"]);
  });

  test("listeners of the list are notified of every change", () => {
    let notified = 0;
    list.batch.listenToAll(() => (notified += 1));
    stream.begin(run(1));
    const before = notified;
    stream.change(run(2));
    expect(notified).toBe(before + 1);
    list.addOlder([run(0)], false);
    expect(notified).toBe(before + 2);
  });
});

describe("a new snapshot", () => {
  test("it replaces everything when it is complete", () => {
    stream.begin(run(2), run(1));
    stream.send("RESYNC");
    stream.send("SNAPSHOT", { rows: [run(9)] });
    expect(stream.ids).toEqual(["r2", "r1"]);
    stream.send("SNAPSHOT", { rows: [run(8)] });
    stream.send("SYNCED");
    expect(stream.ids).toEqual(["r9", "r8"]);
    expect(list.get("r1")).toBeUndefined();
  });

  test("a restarted snapshot replaces the rows", () => {
    stream.begin(run(2), run(1));
    stream.begin(run(3), run(2));
    expect(stream.ids).toEqual(["r3", "r2"]);
    stream.begin(run(3));
    expect(stream.ids).toEqual(["r3"]);
  });

  test("a row lost by the database is removed despite its higher revision", () => {
    stream.begin(run(2, 7), run(1, 5));
    stream.send("RESYNC");
    list.addOlder([run(1, 6)], false);
    stream.begin(run(2, 4), run(1, 5));
    expect(list.get("r2")?.revision).toBe(4);
    expect(list.get("r1")?.revision).toBe(6);
  });

  test("RESYNC alone changes nothing", () => {
    stream.begin(run(1));
    const before = list.snapshot();
    stream.send("RESYNC");
    expect(list.snapshot()).toBe(before);
  });

  test("an interrupted snapshot is not shown after another one started", () => {
    stream.begin(run(1));
    stream.send("RESYNC");
    stream.send("SNAPSHOT", { rows: [run(5)] });
    stream.resync(run(6));
    expect(stream.ids).toEqual(["r6"]);
  });

  test("cursors of older rows are invalid after it", () => {
    stream.begin(run(3), run(2), run(1));
    const before = list.generation;
    stream.resync(run(3), run(2), run(1));
    expect(list.generation).toBeGreaterThan(before);
  });
});

test("a restarted snapshot drops rows that no longer match", () => {
  list.apply({ kind: "SNAPSHOT", cursor: "1", removed: [], rows: [run(1), run(2)] });
  list.restart();
  list.apply({ kind: "SNAPSHOT", cursor: "2", removed: [], rows: [run(2), run(3)] });
  expect(stream.ids).toEqual(["r2", "r1"]);
  list.apply({ kind: "SYNCED", cursor: "3", removed: [], rows: [] });
  expect(stream.ids).toEqual(["r3", "r2"]);
});
