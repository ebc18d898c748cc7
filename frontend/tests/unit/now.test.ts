import { describe, expect, test } from "vitest";
import { countVariables, listVariables, ofPerson } from "../../src/now/filters";
import { sumOf, tilesOf } from "../../src/now/groups";
import { readNowSearch } from "../../src/now/nowSearch";
import { describeAbort, describeExcess, describeSilence, excess } from "../../src/now/stuck";
import { describeResult } from "../../src/aborts/BatchRuns";
import { parseQuery, printQuery } from "../../src/live/search";

const NOW = Date.parse("2026-06-15T12:00:00Z");
const group = (name: string, counts: Record<string, number>) =>
  ({
    project: name,
    createdBySubject: null,
    createdByName: null,
    phaseCounts: Object.entries(counts).map(([phase, count]) => ({ phase, count })),
  }) as Parameters<typeof tilesOf>[0][number];

describe("the tiles", () => {
  const unfinished = [
    group("a", { RUNNING: 1, PAUSED: 1 }),
    group("b", { QUEUED: 2, WAITING_FOR_RESOURCES: 1, INITIALIZING: 1 }),
  ];
  const failed = [group("c", { FAILED: 2, TIMED_OUT: 3 }), group("a", { FAILED: 1 })];

  test("have the most unfinished runs first, and those with failures last", () => {
    expect(tilesOf(unfinished, failed)).toEqual([
      { id: "b", name: "b", running: 1, queued: 3, failed: 0 },
      { id: "a", name: "a", running: 2, queued: 0, failed: 1 },
      { id: "c", name: "c", running: 0, queued: 0, failed: 5 },
    ]);
  });

  test("are summed, all or the selected one", () => {
    const tiles = tilesOf(unfinished, failed);
    expect(sumOf(tiles)).toEqual({ running: 3, queued: 3, failed: 6 });
    expect(sumOf(tiles, "c")).toEqual({ running: 0, queued: 0, failed: 5 });
    expect(sumOf(tiles, "unknown")).toEqual({ running: 0, queued: 0, failed: 0 });
  });

  test("name people, whose subject filters", () => {
    const person = { ...group("", { RUNNING: 1 }), project: null, createdBySubject: "u-1" };
    expect(
      tilesOf(
        [
          { ...person, createdByName: "Ada" },
          { ...person, createdBySubject: null },
        ],
        [],
      ),
    ).toMatchObject([
      { id: null, name: "(no creator)" },
      { id: "u-1", name: "Ada" },
    ]);
  });
});

test("the selected tiles are in the URL", () => {
  const url = printQuery({ project: "a/b", by: "u 1" });
  expect(readNowSearch(parseQuery(url))).toEqual({ project: "a/b", by: "u 1" });
});

test("the tiles of projects are those of the person, and the other way round", () => {
  const found = countVariables({ project: "p", by: "u" }, NOW);
  expect(found.unfinishedOfPerson).toMatchObject({ project: undefined, createdBySubject: "u" });
  expect(found.unfinishedOfProject).toMatchObject({ project: "p", createdBySubject: undefined });
  expect(found.failedOfPerson.startDate).toBe("2026-06-14T12:00:00.000Z");
});

test("the lists are those of the selected tiles, and the viewer's own", () => {
  const found = listVariables({ project: "p" }, undefined, NOW);
  expect(found.silent).toMatchObject({ project: "p", silentSince: "2026-06-15T11:55:00.000Z" });
  expect(found.queued).toMatchObject({ minDurationMs: 600_000, minDurationAsOf: "2026-06-15T12:00:00.000Z" });
  expect(found.withMine).toBe(false);
  expect(listVariables({}, "me", NOW)).toMatchObject({ withMine: true, mine: { createdBySubject: "me" } });
  expect(ofPerson("u", { project: "p" })).toMatchObject({ project: "p", createdBySubject: "u" });
});

test("a run is late if it takes longer than most runs of its task, of which enough succeeded", () => {
  const createdAt = "2026-06-15T11:50:00Z";
  const late = (runs: number, p95Ms: number) => excess({ createdAt, typicalDuration: { runs, p95Ms } }, NOW);
  expect(late(5, 300_000)).toBe(2);
  expect(late(4, 300_000)).toBeNull();
  expect(late(5, 600_000)).toBeNull();
  expect(excess({ createdAt, typicalDuration: null }, NOW)).toBeNull();
  expect([1.04, 2, 22.4].map(describeExcess)).toEqual(["a little longer", "2.0 × as long", "22 × as long"]);
});

test("the reasons say since when an executor is silent, and whether it is lost", () => {
  const lastReportedAt = "2026-06-15T11:50:00Z";
  expect(describeSilence({ lastReportedAt }, NOW)).toBe("no report for 10 m 00 s");
  const lease = { executor: "w-1", lastReportedAt, leaseExpiresAt: "2026-06-15T11:58:00Z" };
  expect(describeSilence(lease, NOW)).toBe(
    "executor w-1 lost: its lease ended 2 m 00 s ago; no report for 10 m 00 s",
  );
  expect(describeSilence({ ...lease, leaseExpiresAt: "2026-06-15T12:01:00Z" }, NOW)).toBe(
    "no report for 10 m 00 s",
  );
});

test("the reasons say how far an abort is", () => {
  expect(describeAbort({ state: "REQUESTED", attemptCount: 0 })).toBe(
    "abort requested, executor not notified yet",
  );
  expect(describeAbort({ state: "RETRYING", attemptCount: 1, lastError: "refused" })).toBe(
    "executor notified once, has not confirmed (refused)",
  );
  expect(describeAbort({ state: "FAILED", attemptCount: 3 })).toBe(
    "abort failed after 3 attempts: check whether it still runs",
  );
});

test("a bulk abort has a result for each run", () => {
  const abort = (state: string, lastError?: string) =>
    ({ phase: "ABORTED", abort: { state, attemptCount: 1, lastError } }) as Parameters<
      typeof describeResult
    >[0];
  expect(describeResult(abort("REQUESTED"))).toBe("abort requested");
  expect(describeResult(abort("CONFIRMED"))).toBe("stopped");
  expect(describeResult(abort("FAILED", "refused"))).toBe("abort failed, may still run: refused");
  expect(describeResult({ phase: "SUCCEEDED", abort: null })).toBe("not aborted: it had ended");
});
