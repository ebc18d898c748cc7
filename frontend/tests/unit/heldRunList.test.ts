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
  test("a run that comes waits, and is counted once", () => {
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

  test("a run that left the filter stays, marked as gone", () => {
    const heard: string[] = [];
    list.batch.listen("r12", () => heard.push("r12"));
    stream.leave("r12");
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
    expect(list.isGone("r12")).toBe(true);
    expect(list.get("r12")).toBeDefined();
    expect(heard).toEqual(["r12"]);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r11"]);
    expect(list.isGone("r12")).toBe(false);
  });

  test("a run that left and came back is not gone any more", () => {
    stream.leave("r12");
    stream.change(run(12, 2));
    expect(list.isGone("r12")).toBe(false);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
  });

  test("a run that came and left again before anybody saw it waits no more", () => {
    stream.change(run(14));
    stream.leave("r14");
    expect(list.snapshot().waiting).toBe(0);
    expect(list.isGone("r14")).toBe(false);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
  });

  test("what waits can be shown while it stays held", () => {
    stream.change(run(14));
    stream.leave("r11");
    list.catchUp();
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], waiting: 0 });
    stream.change(run(15));
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], waiting: 1 });
  });

  test("to hold it once more lets nothing through", () => {
    stream.change(run(14));
    list.hold(true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11"], waiting: 1 });
  });

  test("it is let go without a change of the view where nothing waits", () => {
    const before = list.snapshot();
    list.hold(false);
    expect(list.snapshot()).toBe(before);
  });
});

describe("older runs while the list is held", () => {
  test("they are shown at its end at once, for it is they who are read", () => {
    list.addOlder([run(10), run(9)], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10", "r9"]);
  });

  test("a page that knows of a newer run than the stream does lets that one wait", () => {
    list.addOlder([run(14), run(13), run(12), run(11), run(10)], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10"], waiting: 1 });
    stream.change(run(14));
    expect(list.snapshot().waiting).toBe(1);
    list.hold(false);
    expect(stream.ids).toEqual(["r14", "r13", "r12", "r11", "r10"]);
  });
});

describe("runs of one moment", () => {
  const twin = (id: string): ListedRun => ({ ...run(10), id });

  test("one of the moment of the last row is no newer than that, and is shown below it", () => {
    list.addOlder([{ ...run(11), id: "z" }], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "z"], waiting: 0 });
  });

  test("older ones of the same moment come below, and find their places when the list is let go", () => {
    list.addOlder([twin("b"), twin("c"), twin("a")], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "b", "c", "a"]);
    list.hold(false);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "c", "b", "a"]);
  });

  test("one of the last moment of a fresh snapshot is not gone: the next page may have it", () => {
    list.addOlder([twin("b"), twin("a")], false);
    stream.resync(run(12), run(11), twin("b"));
    expect(list.isGone("a")).toBe(false);
    list.addOlder([run(12), run(11), twin("b"), twin("a")], false);
    list.hold(false);
    expect(stream.ids).toEqual(["r12", "r11", "b", "a"]);
  });
});

describe("a fresh snapshot while the list is held", () => {
  test("what is new waits, and what is not there any more is marked as gone", () => {
    stream.resync(run(14), run(13, 2), run(11));
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11"], waiting: 1 });
    expect(list.get("r13")?.revision).toBe(2);
    expect(list.isGone("r12")).toBe(true);
    list.hold(false);
    expect(stream.ids).toEqual(["r14", "r13", "r11"]);
  });

  test("what waited and left the filter unseen does not come", () => {
    stream.change(run(15), run(14));
    stream.resync(run(15), run(13));
    expect(list.snapshot().waiting).toBe(1);
    list.hold(false);
    expect(stream.ids).toEqual(["r15", "r13"]);
  });

  test("older rows, of which it says nothing, are neither gone nor kept beyond the hold", () => {
    list.addOlder([run(10), run(9)], false);
    const before = list.generation;
    stream.resync(run(14), run(13), run(12));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10", "r9"]);
    for (const id of stream.ids) expect(list.isGone(id)).toBe(false);
    expect(list.generation).toBeGreaterThan(before);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12"], hasOlder: true });
    expect(list.size).toBe(3);
  });

  test("older rows that a page confirms afterwards stay", () => {
    list.addOlder([run(10), run(9)], false);
    stream.resync(run(14), run(13), run(12));
    list.addOlder([run(14), run(13), run(12), run(11), run(9)], false);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r14", "r13", "r12", "r11", "r9"], hasOlder: false });
  });

  test("a run behind it that changes leaves no hole before itself", () => {
    list.addOlder([run(5)], false);
    stream.resync(run(23), run(22), run(21));
    stream.change(run(10, 2));
    list.hold(false);
    expect(stream.ids).toEqual(["r23", "r22", "r21"]);
  });

  test("where it leaves nothing out, there is nothing older", () => {
    stream.resync(run(13));
    expect(list.snapshot().hasOlder).toBe(false);
    list.hold(false);
    expect(list.snapshot()).toMatchObject({ ids: ["r13"], hasOlder: false });
  });
});
