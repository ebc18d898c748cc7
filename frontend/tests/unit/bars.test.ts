import { describe, expect, test } from "vitest";
import { type AttemptTimes, type Bar, barsOf, placed } from "../../src/actions/bars";

const BEGIN = Date.UTC(2026, 0, 1);
const time = (second: number): string => new Date(BEGIN + second * 1_000).toISOString();
const NOW = BEGIN + 100_000;

interface Given {
  phase: string;
  attempts?: number;
  started?: number;
  ended?: number;
  earlier?: AttemptTimes[];
}

/** The bars of an action created at second 0, in seconds. */
function bars({ phase, attempts = 1, started, ended, earlier = [] }: Given): Bar[] {
  const action = {
    ...{ phase, attempts, createdAt: time(0) },
    startedAt: started === undefined ? null : time(started),
    endedAt: ended === undefined ? null : time(ended),
  };
  return barsOf(action, earlier, NOW).map((bar) => ({
    ...bar,
    from: (bar.from - BEGIN) / 1_000,
    to: (bar.to - BEGIN) / 1_000,
  }));
}

describe("the bars of a line", () => {
  test("a finished action waited, then ran", () => {
    expect(bars({ phase: "SUCCEEDED", started: 3, ended: 10 })).toEqual([
      { from: 0, to: 3, kind: "queued", phase: "QUEUED", label: "waited" },
      { from: 3, to: 10, kind: "running", phase: "SUCCEEDED", label: "ran" },
    ]);
  });

  test("a running action extends to now", () => {
    expect(bars({ phase: "RUNNING", started: 3 })).toMatchObject([
      { from: 0, to: 3, kind: "queued" },
      { from: 3, to: 100, kind: "running", phase: "RUNNING" },
    ]);
  });

  test("an action that has not started waits until now, in its phase", () => {
    expect(bars({ phase: "WAITING_FOR_RESOURCES" })).toEqual([
      { from: 0, to: 100, kind: "queued", phase: "WAITING_FOR_RESOURCES", label: "waited" },
    ]);
  });

  test("an action that ended without starting only waited", () => {
    expect(bars({ phase: "ABORTED", ended: 7 })).toEqual([
      { from: 0, to: 7, kind: "queued", phase: "QUEUED", label: "waited" },
    ]);
  });

  test("an action that started at once has no waiting bar", () => {
    expect(bars({ phase: "SUCCEEDED", started: 0, ended: 1 }).map(({ kind }) => kind)).toEqual(["running"]);
  });

  test("an action that ended at an unknown time does not grow", () => {
    expect(bars({ phase: "FAILED", started: 3 }).at(-1)).toMatchObject({ from: 3, to: 3 });
    expect(bars({ phase: "FAILED" })).toEqual([]);
  });

  test("differing clocks give no bar of negative length", () => {
    expect(bars({ phase: "SUCCEEDED", started: 9, ended: 5 }).at(-1)).toMatchObject({ from: 9, to: 9 });
    expect(bars({ phase: "SUCCEEDED", started: -2, ended: 5 })).toHaveLength(1);
  });
});

describe("after the end of the run", () => {
  const END = BEGIN + 60_000;
  const over = (phase: string, started: number | null) =>
    barsOf(
      {
        ...{ phase, attempts: 1, createdAt: time(0) },
        startedAt: started === null ? null : time(started),
        endedAt: null,
      },
      [],
      END,
      true,
    );

  test("an action that did not start waited until the end of the run", () => {
    expect(over("QUEUED", null)).toEqual([
      { from: BEGIN, to: END, kind: "queued", phase: "QUEUED", label: "never ran" },
    ]);
  });

  test("an unfinished action extends to the end of the run, with an unknown end", () => {
    expect(over("RUNNING", 3).at(-1)).toMatchObject({
      to: END,
      kind: "running",
      label: "ran, no end reported",
    });
    expect(over("RUNNING", 90).at(-1)).toMatchObject({ from: BEGIN + 90_000, to: BEGIN + 90_000 });
  });
});

describe("earlier attempts", () => {
  const attempt = (number: number, from: number, to: number | null): AttemptTimes => ({
    ...{ attempt: number, phase: "FAILED", startedAt: time(from) },
    endedAt: to === null ? null : time(to),
  });

  test("they come first, and waiting is the time between the last of them and the start", () => {
    const earlier = [attempt(1, 2, 10), attempt(2, 15, 20)];
    expect(bars({ phase: "RUNNING", attempts: 3, started: 30, earlier })).toEqual([
      { from: 2, to: 10, kind: "earlier", phase: "FAILED", label: "attempt 1" },
      { from: 15, to: 20, kind: "earlier", phase: "FAILED", label: "attempt 2" },
      { from: 20, to: 30, kind: "queued", phase: "QUEUED", label: "waited" },
      { from: 30, to: 100, kind: "running", phase: "RUNNING", label: "attempt 3" },
    ]);
  });

  test("the latest attempt is not repeated, and attempts with unknown end are omitted", () => {
    const earlier = [attempt(1, 2, null), attempt(2, 15, 20)];
    const kinds = bars({ phase: "FAILED", attempts: 2, started: 15, ended: 20, earlier }).map(
      ({ kind }) => kind,
    );
    expect(kinds).toEqual(["queued", "running"]);
  });
});

describe("position of a bar", () => {
  const span = { from: 100, to: 200 };

  test("it is a percentage of the span", () => {
    expect(placed({ from: 125, to: 175 }, span)).toEqual({ left: 25, width: 50 });
  });

  test("bars are clipped to the span", () => {
    expect(placed({ from: 50, to: 150 }, span)).toEqual({ left: 0, width: 50 });
    expect(placed({ from: 150, to: 950 }, span)).toEqual({ left: 50, width: 50 });
    expect(placed({ from: 0, to: 1_000 }, span)).toEqual({ left: 0, width: 100 });
  });

  test("a bar outside the span has no position", () => {
    expect(placed({ from: 0, to: 99 }, span)).toBeNull();
    expect(placed({ from: 201, to: 300 }, span)).toBeNull();
    expect(placed({ from: 0, to: 300 }, { from: 100, to: 100 })).toBeNull();
  });

  test("an instant at the edge is inside", () => {
    expect(placed({ from: 200, to: 200 }, span)).toEqual({ left: 100, width: 0 });
    expect(placed({ from: 100, to: 100 }, span)).toEqual({ left: 0, width: 0 });
  });
});
