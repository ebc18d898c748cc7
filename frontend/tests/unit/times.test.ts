import { describe, expect, test } from "vitest";
import { describeTime, formatRelative, formatTime } from "../../src/ui/times";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
// 09:30 in St. John's, two and a half hours behind UTC.
const NOW = Date.UTC(2026, 5, 15, 12);

test("the tests run in a zone half an hour off full hours", () => {
  expect(new Date(NOW).getTimezoneOffset()).toBe(150);
});

describe("relative times", () => {
  test.each([
    [0, "now"],
    [4_999, "now"],
    [5 * SECOND, "5 s ago"],
    [59_999, "59 s ago"],
    [MINUTE, "1 m ago"],
    [HOUR - 1, "59 m ago"],
    [HOUR, "1 h ago"],
    [DAY - 1, "23 h ago"],
    [DAY, "1 d ago"],
    [1.9 * DAY, "1 d ago"],
    [59 * DAY, "59 d ago"],
    [70 * DAY, "2 months ago"],
    [700 * DAY, "22 months ago"],
    [800 * DAY, "2 years ago"],
    [4_000 * DAY, "10 years ago"],
  ])("%d milliseconds later it was %j", (away, text) => {
    expect(formatRelative(NOW - away, NOW)).toBe(text);
    expect(formatRelative(NOW + away, NOW)).toBe(away < 5_000 ? text : `in ${text.replace(" ago", "")}`);
  });

  test("months and years are never singular", () => {
    for (let day = 1; day < 1_500; day += 0.25) {
      expect(formatRelative(NOW - day * DAY, NOW)).not.toMatch(/^1 (months|years)/);
    }
  });
});

describe("times in the page's mode", () => {
  test("relative mode gives relative times", () => {
    expect(formatTime(NOW - 3 * HOUR, "relative", NOW)).toBe("3 h ago");
  });

  test("today's date and the current year are omitted", () => {
    expect(formatTime(NOW - HOUR - SECOND, "utc", NOW)).toBe("10:59:59 UTC");
    expect(formatTime(NOW - DAY, "utc", NOW)).toBe("06-14 12:00:00 UTC");
    expect(formatTime(Date.UTC(2025, 11, 31, 23, 59, 59), "utc", NOW)).toBe("2025-12-31 23:59:59 UTC");
  });

  test("local times follow daylight saving time", () => {
    expect(formatTime(NOW, "local", NOW)).toBe("09:30:00");
    expect(formatTime(NOW - DAY, "local", NOW)).toBe("06-14 09:30:00");
    expect(formatTime(Date.UTC(2026, 0, 15, 12), "local", NOW)).toBe("01-15 08:30:00");
    expect(formatTime(Date.UTC(2026, 0, 1, 3), "local", NOW)).toBe("2025-12-31 23:30:00");
  });

  test('"today" uses the same zone', () => {
    const atTwo = Date.UTC(2026, 5, 15, 2);
    expect(formatTime(atTwo, "local", NOW)).toBe("06-14 23:30:00");
    expect(formatTime(atTwo, "utc", NOW)).toBe("02:00:00 UTC");
  });
});

test("a tooltip has UTC, local time with its zone, and the relative time", () => {
  const lines = describeTime(Date.UTC(2026, 0, 15, 12, 0, 0, 250), NOW).split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe("2026-01-15T12:00:00.250Z");
  expect(lines[1]).toMatch(/^2026-01-15 08:30:00 (GMT-3:30|NST)$/);
  expect(lines[2]).toBe("4 months ago");
  expect(describeTime(NOW, NOW).split("\n")[1]).toMatch(/^2026-06-15 09:30:00 (GMT-2:30|NDT)$/);
});
