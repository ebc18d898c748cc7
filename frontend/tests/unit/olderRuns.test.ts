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
  test("they come below all others", () => {
    list.addOlder([run(10), run(9)], true);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10", "r9"], hasOlder: true });
    list.addOlder([run(8)], false);
    expect(list.snapshot()).toMatchObject({ ids: ["r13", "r12", "r11", "r10", "r9", "r8"], hasOlder: false });
  });

  test("a page that holds runs which are there already doubles none, and brings what is newer of them", () => {
    stream.change(run(12, 5));
    list.addOlder([run(13, 2), run(12, 4), run(10)], true);
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10"]);
    expect(list.get("r13")?.revision).toBe(2);
    expect(list.get("r12")?.revision).toBe(5);
  });

  test("a run below the window that changes is left to paging, so that no hole comes about", () => {
    stream.change(run(5, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11"]);
    expect(list.get("r5")).toBeUndefined();
  });

  test("a run that comes back above the end of what was loaded is shown, even as the last one", () => {
    list.addOlder([run(10), run(9)], true);
    stream.leave("r10", "r9");
    stream.change(run(10, 2), run(8, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r10"]);
  });

  test("where all that was shown left, a run from further back still waits for paging", () => {
    stream.leave("r13", "r12", "r11");
    stream.change(run(5, 2), run(14));
    expect(stream.ids).toEqual(["r14"]);
  });

  test("where everything is loaded, a run that enters the filter at the end is shown", () => {
    list.addOlder([], false);
    stream.change(run(5, 2));
    expect(stream.ids).toEqual(["r13", "r12", "r11", "r5"]);
  });

  test("over a thousand rows the oldest are let go, and can be paged to again", () => {
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

  test("a thousand rows exactly are kept", () => {
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
