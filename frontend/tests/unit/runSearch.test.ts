import { describe, expect, test } from "vitest";
import { parseQuery, printQuery } from "../../src/live/search";
import {
  type RunSearch,
  chipsOf,
  filterOf,
  isFiltered,
  toApiTime,
  readRunSearch,
} from "../../src/runs/runSearch";

const NOW = Date.UTC(2026, 5, 15, 12);

/** A value of each filter. */
const FULL: { [Name in Exclude<keyof RunSearch, "sort">]-?: NonNullable<RunSearch[Name]> } = {
  project: "ml/prod",
  domain: "..",
  phase: ["RUNNING", "QUEUED"],
  not: ["ABORTED"],
  q: "100% ~ done?",
  task: "train & eval",
  version: "v1+2",
  function: "main",
  trigger: "nightly",
  label: ["team", "env=prod", "a=b=c"],
  source: ["API"],
  by: "jo@example.org",
  from: "24h",
  to: "2026-06-15T10:00:00Z",
  longer: "5m",
  shorter: "1h30m",
  executor: "worker-7:1",
  silent: "1h",
  paused: true,
  aborting: true,
  noTask: true,
  noFunction: true,
};

const without = (search: RunSearch): RunSearch =>
  Object.fromEntries(Object.entries(search).filter(([, value]: [string, unknown]) => value !== undefined));

describe("the filter in the URL", () => {
  test("all of it is restored", () => {
    const url = printQuery({ ...FULL });
    expect(readRunSearch(parseQuery(url))).toEqual(FULL);
    expect(printQuery({ ...readRunSearch(parseQuery(url)) })).toBe(url);
  });

  test.each(Object.entries(FULL))(
    "%s alone is restored, filters, and has a chip unless it is the text",
    (name, value: unknown) => {
      const search = readRunSearch(parseQuery(printQuery({ [name]: value })));
      expect(without(search)).toEqual({ [name]: value });
      expect(isFiltered(search)).toBe(true);
      expect(filterOf(search, NOW, true)).not.toEqual({});
      expect(chipsOf(search, String).length > 0).toBe(name !== "q");
    },
  );

  test("unknown and empty parameters are omitted", () => {
    const search = readRunSearch(parseQuery("?surprise=1&project=&phase=&paused=false"));
    expect(without(search)).toEqual({});
    expect(isFiltered(search)).toBe(false);
  });

  test("unknown phases and sources are kept", () => {
    const search = readRunSearch(parseQuery("?phase=HIBERNATING&phase=RUNNING&source=CARRIER_PIGEON"));
    expect(filterOf(search, NOW, true)).toEqual({
      phases: ["HIBERNATING", "RUNNING"],
      sources: ["CARRIER_PIGEON"],
    });
  });
});

describe("the API's filter", () => {
  test("each part of the search is a part of the filter", () => {
    expect(filterOf(FULL, NOW, true)).toEqual({
      project: "ml/prod",
      domain: "..",
      phases: ["RUNNING", "QUEUED"],
      excludePhases: ["ABORTED"],
      search: "100% ~ done?",
      taskName: "train & eval",
      taskVersion: "v1+2",
      functionName: "main",
      triggerName: "nightly",
      sources: ["API"],
      createdBy: "jo@example.org",
      labels: [{ key: "team" }, { key: "env", value: "prod" }, { key: "a", value: "b=c" }],
      startDate: "2026-06-14T12:00:00.000Z",
      endDate: "2026-06-15T10:00:00.000Z",
      minDurationMs: 300_000,
      minDurationAsOf: "2026-06-15T12:00:00.000Z",
      maxDurationMs: 5_400_000,
      executor: "worker-7:1",
      silentSince: "2026-06-15T11:00:00.000Z",
      hasPausedActions: true,
      abortPending: true,
      hasTask: false,
      hasFunction: false,
    });
  });

  test("without parameters it is empty", () => {
    expect(filterOf({}, NOW, true)).toStrictEqual({});
    expect(filterOf(readRunSearch({}), NOW, true)).toStrictEqual({});
  });

  test("invalid times and durations are ignored", () => {
    expect(
      filterOf({ from: "yesterday", to: "?", longer: "long", shorter: "-5m", silent: "x" }, NOW, true),
    ).toEqual({});
  });

  test("a label may have an empty value", () => {
    expect(filterOf({ label: ["empty="] }, NOW, true).labels).toEqual([{ key: "empty", value: "" }]);
  });

  test("a duration is in whole milliseconds", () => {
    expect(filterOf({ longer: "1.005s", shorter: "0.07h" }, NOW, true)).toEqual({
      minDurationMs: 1_005,
      minDurationAsOf: "2026-06-15T12:00:00.000Z",
      maxDurationMs: 252_000,
    });
  });
});

describe("times", () => {
  test("ages are relative to now", () => {
    expect(toApiTime("24h", NOW, true)).toBe("2026-06-14T12:00:00.000Z");
    expect(toApiTime("1h30m", NOW, true)).toBe("2026-06-15T10:30:00.000Z");
  });

  test("a time with an offset is converted to UTC", () => {
    expect(toApiTime("2026-01-31T12:00:00Z", NOW, true)).toBe("2026-01-31T12:00:00.000Z");
    expect(toApiTime("2026-01-31T12:00:00+05:30", NOW, true)).toBe("2026-01-31T06:30:00.000Z");
  });

  test("without an offset it is UTC or local", () => {
    for (const text of ["2026-01-31", "2026-01-31 12:30", "2026-07-31T12:30:05.5"]) {
      const [date = "", time = "00:00"] = text.split(/[T ]/);
      expect(toApiTime(text, NOW, true)).toBe(new Date(`${date}T${time}Z`).toISOString());
      expect(toApiTime(text, NOW, false)).toBe(new Date(`${date}T${time}`).toISOString());
    }
    expect(toApiTime("2026-01-31T12:00Z", NOW, false)).toBe("2026-01-31T12:00:00.000Z");
  });

  test("empty, malformed and impossible times are rejected", () => {
    for (const value of [undefined, "", "soon", "2026-13-01T00:00:00Z", "99999999999d", "1000000d"]) {
      expect(toApiTime(value, NOW, true)).toBeUndefined();
    }
  });
});

describe("chips", () => {
  const show = (name: string, value: string): string => `${name}/${value}`;
  const labels = (search: RunSearch): string[] => chipsOf(search, show).map(({ label }) => label);

  test("there is one per condition; the search text has its own field", () => {
    expect(labels({ project: "p", longer: "5m", from: "24h", to: "1h", q: "text" })).toEqual([
      "project: project/p",
      "longer than: longer/5m",
      "since: from/24h",
      "until: to/1h",
    ]);
    expect(labels({ paused: true, aborting: true })).toEqual(["has paused actions", "abort pending"]);
    expect(labels({})).toEqual([]);
  });

  test("the keys of chips are distinct", () => {
    const chips = chipsOf(FULL, show);
    expect(chips).toHaveLength(25 - 1);
    expect(new Set(chips.map(({ key }) => key)).size).toBe(chips.length);
  });

  test("each of several values is removed alone, the last one with its parameter", () => {
    const [running, queued] = chipsOf({ phase: ["RUNNING", "QUEUED"], q: "x" }, show);
    expect(running).toMatchObject({ key: "phase:RUNNING", label: "phase: phase/RUNNING" });
    expect(running?.without).toEqual({ phase: ["QUEUED"], q: "x" });
    expect(queued?.without).toEqual({ phase: ["RUNNING"], q: "x" });
    const [last] = chipsOf({ phase: ["RUNNING"], q: "x" }, show);
    expect(last && without(last.without)).toEqual({ q: "x" });
  });

  test("a single value is removed without the others", () => {
    const [project] = chipsOf({ project: "p", domain: "d" }, show);
    expect(project && without(project.without)).toEqual({ domain: "d" });
    const [paused] = chipsOf({ paused: true }, show);
    expect(paused && isFiltered(paused.without)).toBe(false);
  });
});
