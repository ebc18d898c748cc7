import { beforeEach, describe, expect, test } from "vitest";
import type { RunList } from "../../src/runs/runList";
import type { ListedRun } from "../../src/runs/runOrder";
import { StreamedList, run } from "./streamedList";

let stream: StreamedList;
let list: RunList<ListedRun>;

beforeEach(() => {
  stream = new StreamedList();
  ({ list } = stream);
  stream.begin(run(13), run(12), run(11));
  list.hold(true);
});

describe("while the list is held", () => {
  test("a new run waits and is counted once", () => {
    stream.change(run(14));
    stream.change(run(14, 2));
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11"], waiting: 1 });
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12", "r11"], waiting: 0 });
  });

  test("a row changes in place", () => {
    stream.change(run(12, 2));
    expect(list.get("r12")?.revision).toBe(2);
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
  });

  test("a run that no longer matches stays, marked", () => {
    const notified: string[] = [];
    list.batch.listen("r12", () => notified.push("r12"));
    stream.leave("r12");
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
    expect(list.isUnmatched("r12")).toBe(true);
    expect(list.get("r12")).toBeDefined();
    expect(notified).toEqual(["r12"]);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r11"]);
    expect(list.isUnmatched("r12")).toBe(false);
  });

  test("a run that matches again is no longer marked", () => {
    stream.leave("r12");
    stream.change(run(12, 2));
    expect(list.isUnmatched("r12")).toBe(false);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
  });

  test("a waiting run that no longer matches is dropped", () => {
    stream.change(run(14));
    stream.leave("r14");
    expect(list.snapshot().waiting).toBe(0);
    expect(list.isUnmatched("r14")).toBe(false);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
  });

  test("waiting runs can be shown while the list stays held", () => {
    stream.change(run(14));
    stream.leave("r11");
    list.catchUp();
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], waiting: 0 });
    stream.change(run(15));
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], waiting: 1 });
  });

  test("holding again shows nothing", () => {
    stream.change(run(14));
    list.hold(true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11"], waiting: 1 });
  });

  test("releasing without waiting runs does not change the view", () => {
    const before = list.snapshot();
    list.hold(false);
    expect(list.snapshot()).toBe(before);
  });
});

describe("older runs while the list is held", () => {
  test("they are appended at once", () => {
    list.addOlder([run(10), run(9)], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10", "r9"]);
  });

  test("a run in a page that is newer than the list waits", () => {
    list.addOlder([run(14), run(13), run(12), run(11), run(10)], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10"], waiting: 1 });
    stream.change(run(14));
    expect(list.snapshot().waiting).toBe(1);
    list.hold(false);
    expect(stream.ids).toEqual(["r14", "r13", "r12", "r11", "r10"]);
  });
});

describe("runs of the same time", () => {
  const twin = (id: string): ListedRun => ({ ...run(10), id });

  test("a run of the same time as the last row is appended", () => {
    list.addOlder([{ ...run(11), id: "z" }], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "z"], waiting: 0 });
  });

  test("older runs of the same time are appended, and sorted when the list is released", () => {
    list.addOlder([twin("b"), twin("c"), twin("a")], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "b", "c", "a"]);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "c", "b", "a"]);
  });

  test("a run of the snapshot's last time is not marked, since the next page may have it", () => {
    list.addOlder([twin("b"), twin("a")], false);
    stream.resync(run(12), run(11), twin("b"));
    expect(list.isUnmatched("a")).toBe(false);
    list.addOlder([run(12), run(11), twin("b"), twin("a")], false);
    list.hold(false);
    expect(stream.ids).toEqual(["r12", "r11", "b", "a"]);
  });
});

describe("a new snapshot while the list is held", () => {
  test("new runs wait, and missing ones are marked", () => {
    stream.resync(run(14), run(13, 2), run(11));
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11"], waiting: 1 });
    expect(list.get("r13")?.revision).toBe(2);
    expect(list.isUnmatched("r12")).toBe(true);
    list.hold(false);
    expect(stream.ids).toEqual(["r14", "r13", "r11"]);
  });

  test("a waiting run missing from the snapshot is dropped", () => {
    stream.change(run(15), run(14));
    stream.resync(run(15), run(13));
    expect(list.snapshot().waiting).toBe(1);
    list.hold(false);
    expect(stream.ids).toEqual(["r15", "r13"]);
  });

  test("older rows beyond the snapshot are not marked, and dropped on release", () => {
    list.addOlder([run(10), run(9)], false);
    const before = list.generation;
    stream.resync(run(14), run(13), run(12));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10", "r9"]);
    for (const id of stream.ids) expect(list.isUnmatched(id)).toBe(false);
    expect(list.generation).toBeGreaterThan(before);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], hasOlder: true });
    expect(list.size).toBe(3);
  });

  test("older rows confirmed by a page stay", () => {
    list.addOlder([run(10), run(9)], false);
    stream.resync(run(14), run(13), run(12));
    list.addOlder([run(14), run(13), run(12), run(11), run(9)], false);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12", "r11", "r9"], hasOlder: false });
  });

  test("a changed run beyond the snapshot leaves no gap before it", () => {
    list.addOlder([run(5)], false);
    stream.resync(run(23), run(22), run(21));
    stream.change(run(10, 2));
    list.hold(false);
    expect(stream.ids).toEqual(["r23", "r22", "r21"]);
  });

  test("a snapshot that is not full means that there are no older runs", () => {
    stream.resync(run(13));
    expect(list.snapshot().hasOlder).toBe(false);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r13"], hasOlder: false });
  });
});
