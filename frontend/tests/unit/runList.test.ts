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
  test("the newest run stands above all others, in whatever order they came", () => {
    stream.begin(run(2), run(1), run(3));
    stream.change(run(5), run(4));
    expect(stream.ids).toEqual(["r5", "r4", "r3", "r2", "r1"]);
  });

  test("runs of the same moment stand in the order of their ids, always the same", () => {
    const at = (id: string): ListedRun => ({ ...run(1), id });
    stream.begin(at("b"), at("a"));
    stream.change(at("c"));
    expect(stream.ids).toEqual(["c", "b", "a"]);
  });

  test("microseconds decide, also beside a moment that is written without any", () => {
    const at = (id: string, createdAt: string): ListedRun => ({ id, revision: 1, createdAt });
    stream.begin(at("z", "2026-01-01T00:00:05Z"), at("a", "2026-01-01T00:00:05.000500Z"));
    stream.change(at("b", "2026-01-01T00:00:05.000400Z"));
    expect(stream.ids).toEqual(["a", "b", "z"]);
  });
});

test("moments count, in whatever zone they are written", () => {
  const at = (id: string, createdAt: string): ListedRun => ({ id, revision: 1, createdAt });
  stream.begin(at("old", "2026-01-01T02:00:00+02:00"), at("new", "2026-01-01T00:30:00Z"));
  expect(stream.ids).toEqual(["new", "old"]);
});

describe("revisions", () => {
  test("a newer revision takes the place of an older one, and the row stays where it is", () => {
    stream.begin(run(2), run(1));
    stream.change(run(1, 7));
    expect(list.get("r1")?.revision).toBe(7);
    expect(stream.ids).toEqual(["r2", "r1"]);
  });

  test("an older revision that comes late changes nothing", () => {
    stream.begin(run(1, 5));
    stream.change(run(1, 4));
    expect(list.get("r1")?.revision).toBe(5);
  });

  test("the same revision is taken once more, since what is around a run may have changed", () => {
    stream.begin(run(1, 5));
    const again = run(1, 5);
    stream.change(again);
    expect(list.get("r1")).toBe(again);
  });
});

describe("a list that follows", () => {
  test("a run that left the filter goes", () => {
    stream.begin(run(2), run(1));
    stream.leave("r2", "r-unknown");
    expect(stream.ids).toEqual(["r1"]);
    expect(list.get("r2")).toBeUndefined();
    expect(list.isGone("r2")).toBe(false);
  });

  test("before anything came it is empty, and there is nothing older", () => {
    expect(list.snapshot()).toEqual({ ids: [], waiting: 0, synced: false, hasOlder: false });
  });

  test("it is synced only when the snapshot is complete", () => {
    stream.send("SNAPSHOT", { rows: [run(1)] });
    expect(list.snapshot().synced).toBe(false);
    stream.send("SYNCED");
    expect(list.snapshot().synced).toBe(true);
  });

  test("there are older runs only where the snapshot is full", () => {
    stream.begin(run(2), run(1));
    expect(list.snapshot().hasOlder).toBe(false);
    stream.resync(run(3), run(2), run(1));
    expect(list.snapshot().hasOlder).toBe(true);
    stream.resync(run(2));
    expect(list.snapshot().hasOlder).toBe(false);
  });

  test("the view is the same object until something changed", () => {
    stream.begin(run(1));
    const before = list.snapshot();
    expect(list.snapshot()).toBe(before);
    stream.change(run(2));
    expect(list.snapshot()).not.toBe(before);
    expect(before.ids).toEqual(["r1"]);
  });

  test("who listens to one run hears of that one and of no other", () => {
    stream.begin(run(2), run(1));
    const heard: string[] = [];
    list.batch.listen("r1", () => heard.push("r1"));
    stream.change(run(2, 2));
    expect(heard).toEqual([]);
    stream.change(run(1, 2));
    expect(heard).toEqual(["r1"]);
    stream.resync(run(1, 3));
    expect(heard).toEqual(["r1", "r1"]);
  });

  test("who listens to the list hears of every change of it", () => {
    let heard = 0;
    list.batch.listenToAll(() => (heard += 1));
    stream.begin(run(1));
    const before = heard;
    stream.change(run(2));
    expect(heard).toBe(before + 1);
    list.addOlder([run(0)], false);
    expect(heard).toBe(before + 2);
  });
});

describe("a fresh snapshot", () => {
  test("it takes the place of everything only when it is complete", () => {
    stream.begin(run(2), run(1));
    stream.send("RESYNC");
    stream.send("SNAPSHOT", { rows: [run(9)] });
    expect(stream.ids).toEqual(["r2", "r1"]);
    stream.send("SNAPSHOT", { rows: [run(8)] });
    stream.send("SYNCED");
    expect(stream.ids).toEqual(["r9", "r8"]);
    expect(list.get("r1")).toBeUndefined();
  });

  test("a snapshot that begins again without a word replaces what was there", () => {
    stream.begin(run(2), run(1));
    stream.begin(run(3), run(2));
    expect(stream.ids).toEqual(["r3", "r2"]);
    stream.begin(run(3));
    expect(stream.ids).toEqual(["r3"]);
  });

  test("what the database has lost since does not stay, though it was of a higher revision", () => {
    stream.begin(run(2, 7), run(1, 5));
    stream.send("RESYNC");
    list.addOlder([run(1, 6)], false);
    stream.begin(run(2, 4), run(1, 5));
    expect(list.get("r2")?.revision).toBe(4);
    expect(list.get("r1")?.revision).toBe(6);
  });

  test("that one will come changes nothing yet", () => {
    stream.begin(run(1));
    const before = list.snapshot();
    stream.send("RESYNC");
    expect(list.snapshot()).toBe(before);
  });

  test("a snapshot that broke off is not shown once another one began behind it", () => {
    stream.begin(run(1));
    stream.send("RESYNC");
    stream.send("SNAPSHOT", { rows: [run(5)] });
    stream.resync(run(6));
    expect(stream.ids).toEqual(["r6"]);
  });

  test("a cursor behind older rows says nothing any more after it", () => {
    stream.begin(run(3), run(2), run(1));
    const before = list.generation;
    stream.resync(run(3), run(2), run(1));
    expect(list.generation).toBeGreaterThan(before);
  });
});

test("a snapshot that broke off and began anew forgets what left in between", () => {
  list.apply({ kind: "SNAPSHOT", cursor: "1", removed: [], rows: [run(1), run(2)] });
  list.restart();
  list.apply({ kind: "SNAPSHOT", cursor: "2", removed: [], rows: [run(2), run(3)] });
  expect(stream.ids).toEqual(["r2", "r1"]);
  list.apply({ kind: "SYNCED", cursor: "3", removed: [], rows: [] });
  expect(stream.ids).toEqual(["r3", "r2"]);
});
