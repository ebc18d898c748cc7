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
});

describe("older runs", () => {
  test("they are appended", () => {
    list.addOlder([run(10), run(9)], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10", "r9"], hasOlder: true });
    list.addOlder([run(8)], false);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10", "r9", "r8"], hasOlder: false });
  });

  test("a page with known runs adds no duplicates and updates newer revisions", () => {
    stream.change(run(12, 5));
    list.addOlder([run(13, 2), run(12, 4), run(10)], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10"]);
    expect(list.get("r13")?.revision).toBe(2);
    expect(list.get("r12")?.revision).toBe(5);
  });

  test("a changed run beyond the window is left to paging, so that there is no gap", () => {
    stream.change(run(5, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
    expect(list.get("r5")).toBeUndefined();
  });

  test("a run that matches again within the loaded range is shown, even as the last one", () => {
    list.addOlder([run(10), run(9)], true);
    stream.leave("r10", "r9");
    stream.change(run(10, 2), run(8, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10"]);
  });

  test("when all shown runs left, an older run is still left to paging", () => {
    stream.leave("r13", "r12", "r11");
    stream.change(run(5, 2), run(14));
    expect(stream.ids).toEqual(["r14"]);
  });

  test("when everything is loaded, a run that starts to match at the end is shown", () => {
    list.addOlder([], false);
    stream.change(run(5, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r5"]);
  });

  test("beyond a thousand rows the oldest are dropped, and can be loaded again", () => {
    list.addOlder(
      Array.from({ length: 997 }, (_, at) => run(10 - at)),
      false,
    );
    expect(stream.ids).toHaveLength(1_000);
    const before = list.generation;
    stream.change(run(14));
    expect(stream.ids).toHaveLength(300);
    expect(stream.ids[0]).toBe("r14");
    expect(list.snapshot().hasOlder).toBe(true);
    expect(list.size).toBe(300);
    expect(list.generation).toBeGreaterThan(before);
    stream.change(run(-300, 2));
    expect(stream.ids).toHaveLength(300);
    stream.change(run(-200.5));
    expect(stream.ids).toHaveLength(301);
  });

  test("exactly a thousand rows are kept", () => {
    list.addOlder(
      Array.from({ length: 996 }, (_, at) => run(10 - at)),
      false,
    );
    const before = list.generation;
    stream.change(run(14));
    expect(stream.ids).toHaveLength(1_000);
    expect(list.generation).toBe(before);
  });
});
