import { beforeEach, describe, expect, test, vi } from "vitest";
import { SortedRunList } from "../../src/runs/sortedRunList";
import { ariaSort, nextSort, orderOf, readSort } from "../../src/runs/sorting";

interface Row {
  id: string;
  revision: number;
  createdAt: string;
  place: string;
}

const row = (id: string, revision = 1, place = "running"): Row => ({
  id,
  revision,
  createdAt: `2026-01-01T00:00:0${id.length}Z`,
  place,
});

const readAgain = vi.fn();
let list: SortedRunList<Row>;

const change = (rows: Row[], removed: string[] = []): void =>
  list.apply({ kind: "CHANGE", cursor: "", rows, removed });

beforeEach(() => {
  readAgain.mockClear();
  list = new SortedRunList<Row>(
    2,
    ({ place }) => place,
    readAgain,
    (flush) => flush(),
  );
  list.show([row("b"), row("a")], true);
});

describe("a sorted list", () => {
  test("keeps the order of the server and appends pages", () => {
    list.addOlder([row("a"), row("d"), row("c")], false);
    expect(list.snapshot()).toMatchObject({ ids: ["b", "a", "d", "c"], hasOlder: false, waiting: 0 });
  });

  test("changes rows in place, and counts those whose place has changed", () => {
    change([row("a", 2)]);
    expect(list.get("a")?.revision).toBe(2);
    expect(list.snapshot()).toMatchObject({ ids: ["b", "a"], waiting: 0 });
    change([row("b", 2, "ended")]);
    expect(list.snapshot()).toMatchObject({ ids: ["b", "a"], waiting: 1 });
  });

  test("counts new runs and marks those that left the filter, until it is read again", () => {
    change([row("new")], ["a"]);
    expect(list.snapshot()).toMatchObject({ ids: ["b", "a"], waiting: 1 });
    expect(list.isUnmatched("a")).toBe(true);
    list.catchUp();
    expect(readAgain).toHaveBeenCalledOnce();
    list.show([row("new"), row("b", 3)], false);
    expect(list.snapshot()).toMatchObject({ ids: ["new", "b"], waiting: 0, hasOlder: false });
  });

  test("a page does not undo a newer change", () => {
    change([row("a", 5)]);
    list.show([row("a", 4), row("b")], false);
    expect(list.get("a")?.revision).toBe(5);
  });

  test("is never released", () => {
    list.hold();
    change([row("new")]);
    expect(list.snapshot().ids).toEqual(["b", "a"]);
  });
});

describe("the sort in the URL", () => {
  test("is a column and a direction; the newest first needs none", () => {
    expect(["duration", "-run", "-started", "labels", "", undefined].map(readSort)).toEqual([
      "duration",
      "-run",
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(orderOf("-run")).toEqual({ field: "NAME", direction: "DESC" });
    expect(orderOf(undefined)).toBeUndefined();
  });

  test("goes from a column's first direction to the other, and back to the newest first", () => {
    expect([nextSort(undefined, "run"), nextSort("run", "run"), nextSort("-run", "run")]).toEqual([
      "run",
      "-run",
      undefined,
    ]);
    expect(nextSort("run", "duration")).toBe("-duration");
    expect(nextSort("run", "started")).toBeUndefined();
    expect(nextSort(undefined, "started")).toBe("started");
  });

  test("is announced at its column", () => {
    expect(ariaSort(undefined, "started")).toBe("descending");
    expect(ariaSort("duration", "started")).toBe("none");
    expect(ariaSort("duration", "duration")).toBe("ascending");
  });
});
