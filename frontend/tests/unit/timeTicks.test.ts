import { describe, expect, test } from "vitest";
import { TIME_MODES, type TimeMode, timeTicks } from "../../src/ui/times";
import { Seeded } from "./seeded";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 5, 15, 12, 0, 7, 123);

const labels = (from: number, to: number, most: number, mode: TimeMode): string[] =>
  timeTicks(from, to, most, mode, START).map(({ label }) => label);

describe("relative ticks", () => {
  const since = (from: number, to: number, most: number): string[] =>
    labels(START + from, START + to, most, "relative");

  test("they are round durations since the start", () => {
    expect(since(0, 10_000, 6)).toEqual(["0", "+2 s", "+4 s", "+6 s", "+8 s", "+10 s"]);
    expect(since(0, 100, 5)).toEqual(["0", "+50 ms", "+100 ms"]);
    expect(since(0, 3 * MINUTE, 7)).toEqual(["0", "+30 s", "+1 m", "+1 m 30 s", "+2 m", "+2 m 30 s", "+3 m"]);
    expect(since(0, 5 * HOUR, 6)).toEqual(["0", "+1 h", "+2 h", "+3 h", "+4 h", "+5 h"]);
    expect(since(0, 3 * DAY, 7)).toEqual(["0", "+12 h", "+1 d", "+1 d 12 h", "+2 d", "+2 d 12 h", "+3 d"]);
  });

  test("times before the start are negative", () => {
    expect(since(-2_000, 2_000, 5)).toEqual(["−2 s", "−1 s", "0", "+1 s", "+2 s"]);
  });

  test("far from the start they have enough digits to be distinct", () => {
    expect(since(2 * HOUR, 2 * HOUR + 20_000, 3)).toEqual(["+2 h", "+2h 00m 10s", "+2h 00m 20s"]);
    expect(since(61_500, 62_000, 2)).toEqual(["+1 m 01.5 s", "+1 m 02 s"]);
    expect(since(1_230, 1_240, 3)).toEqual(["+1.23 s", "+1.235 s", "+1.24 s"]);
  });
});

describe("absolute ticks", () => {
  test("in UTC they are round in UTC", () => {
    const from = Date.UTC(2026, 5, 15, 22, 50);
    expect(labels(from, from + 2 * HOUR, 5, "utc")).toEqual(["23:00", "23:30", "06-16 00:00", "00:30"]);
    expect(labels(from, from + 40 * SECOND, 5, "utc")).toEqual([
      "22:50:00",
      "22:50:10",
      "22:50:20",
      "22:50:30",
      "22:50:40",
    ]);
    expect(labels(from + 500, from + 1_500, 3, "utc")).toEqual([
      "22:50:00.500",
      "22:50:01.000",
      "22:50:01.500",
    ]);
  });

  test("in local time they are round in local time", () => {
    const from = Date.UTC(2026, 5, 15, 0, 50);
    expect(labels(from, from + 6 * HOUR, 7, "local")).toEqual([
      "23:00",
      "06-15 00:00",
      "01:00",
      "02:00",
      "03:00",
      "04:00",
    ]);
  });

  test.each([1, 2, 7, 14, 28, 91, 365])("in long spans they are %i days apart", (days) => {
    const from = Date.UTC(2020, 0, 1);
    const ticks = timeTicks(from, from + 4.9 * days * DAY, 5, "utc", START).map(({ at }) => at);
    expect(ticks.length).toBeGreaterThanOrEqual(4);
    for (const [index, at] of ticks.slice(1).entries()) expect(at - (ticks[index] ?? 0)).toBe(days * DAY);
  });

  test("very long spans have a few ticks", () => {
    const years = timeTicks(0, 100 * 365 * DAY, 4.5, "utc", START);
    expect(years.map(({ label }) => label.slice(0, 4))).toEqual(["1970", "1992", "2014", "2036", "2058"]);
  });

  test("space for one tick gives one", () => {
    const from = Date.UTC(2026, 5, 15, 11, 50);
    expect(labels(from, from + 15 * MINUTE, 1, "utc")).toEqual(["12:00"]);
  });

  test("seconds after midnight are distinct", () => {
    const from = Date.UTC(2026, 5, 15, 23, 59, 55);
    expect(labels(from, from + 12 * SECOND, 4, "utc")).toEqual(["23:59:55", "06-16 00:00", "00:00:05"]);
    const midnight = from + 5 * SECOND;
    expect(labels(midnight, midnight + 100, 3, "utc")).toEqual([
      "06-16 00:00",
      "00:00:00.050",
      "00:00:00.100",
    ]);
  });

  test("days begin at midnight in each zone", () => {
    const from = Date.UTC(2026, 5, 10, 1);
    for (const { at } of timeTicks(from, from + 4 * DAY, 5, "local", START)) {
      expect([new Date(at).getHours(), new Date(at).getMinutes()]).toEqual([0, 0]);
    }
    expect(labels(from, from + 3 * DAY, 5, "local")).toEqual(["2026-06-10", "2026-06-11", "2026-06-12"]);
    expect(labels(from, from + 3 * DAY, 5, "utc")).toEqual(["2026-06-11", "2026-06-12", "2026-06-13"]);
  });

  test.each([
    ["back", Date.UTC(2026, 9, 30, 12), ["2026-10-31", "2026-11-01", "2026-11-02", "2026-11-03"]],
    ["ahead", Date.UTC(2026, 2, 6, 12), ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10"]],
  ])("days begin at midnight on both sides of the night in which the clocks go %s", (_, from, days) => {
    const ticks = timeTicks(from, from + 4 * DAY, 5, "local", START);
    expect(ticks.map(({ label }) => label)).toEqual(days);
    for (const { at } of ticks) expect(new Date(at).getHours()).toBe(0);
  });
});

describe("any range", () => {
  const chance = new Seeded(11);
  const cases = Array.from({ length: 1_500 }, () => {
    const width = Math.ceil((1 + chance.next()) * 10 ** (1 + chance.next() * 9));
    const from = START + Math.round((chance.next() - 0.3) * 10 ** chance.below(11));
    return { from, to: from + width, most: 1 + chance.below(20), mode: chance.pick(TIME_MODES) };
  });

  test("there are at most as many ticks as requested, within the span and in order", () => {
    for (const { from, to, most, mode } of cases) {
      const ticks = timeTicks(from, to, most, mode, START).map(({ at }) => at);
      expect(ticks.length).toBeLessThanOrEqual(most);
      for (const at of ticks) expect(at >= from && at <= to).toBe(true);
      expect(ticks).toEqual([...new Set(ticks)].sort((a, b) => a - b));
    }
  });

  test("space for eight ticks or more is used", () => {
    for (const { from, to, most, mode } of cases) {
      if (most < 8) continue;
      expect(timeTicks(from, to, most, mode, START).length).toBeGreaterThanOrEqual(Math.floor(most / 4));
    }
  });

  test("labels are distinct", () => {
    for (const { from, to, most, mode } of cases.filter(({ from, to }) => to - from < 20 * HOUR)) {
      const said = labels(from, to, most, mode);
      expect(said).toEqual([...new Set(said)]);
    }
  });

  test("an empty span or no space gives no ticks", () => {
    for (const mode of TIME_MODES) {
      expect(timeTicks(5, 5, 10, mode, 0)).toEqual([]);
      expect(timeTicks(9, 5, 10, mode, 0)).toEqual([]);
      expect(timeTicks(NaN, NaN, 10, mode, 0)).toEqual([]);
      expect(timeTicks(0, 100, 0, mode, 0)).toEqual([]);
    }
  });
});
