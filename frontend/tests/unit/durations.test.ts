import { describe, expect, test } from "vitest";
import { formatDuration, formatExactly, formatTicking, parseDuration } from "../../src/ui/durations";
import { Seeded } from "./seeded";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("short durations", () => {
  test.each([
    [0, "0 ms"],
    [340, "340 ms"],
    [999, "999 ms"],
    [999.7, "999 ms"],
    [SECOND, "1.0 s"],
    [7_949, "7.9 s"],
    [9_999, "9.9 s"],
    [10 * SECOND, "10 s"],
    [59_999, "59 s"],
    [MINUTE, "1 m 00 s"],
    [67 * SECOND, "1 m 07 s"],
    [HOUR - 1, "59 m 59 s"],
    [HOUR, "1 h 00 m"],
    [3 * HOUR + 5 * MINUTE, "3 h 05 m"],
    [DAY - 1, "23 h 59 m"],
    [DAY, "1 d 00 h"],
    [2 * DAY + 5 * HOUR - 1, "2 d 04 h"],
    [400 * DAY, "400 d 00 h"],
  ])("%d milliseconds are %j", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("invalid durations are null", () => {
    for (const ms of [-1, NaN, Infinity]) expect(formatDuration(ms)).toBe("0 s");
  });
});

describe("elapsed times", () => {
  test.each([
    [-5, "0 s"],
    [0, "0 s"],
    [999, "0 s"],
    [SECOND, "1 s"],
    [9_999, "9 s"],
    [10 * SECOND, "10 s"],
    [67_900, "1 m 07 s"],
    [3 * HOUR, "3 h 00 m"],
  ])("%d milliseconds are %j", (ms, text) => {
    expect(formatTicking(ms)).toBe(text);
  });

  test("each second of the first minute has a distinct text", () => {
    const texts = Array.from({ length: 60 }, (_, second) => formatTicking(second * SECOND + 500));
    expect(texts).toEqual(Array.from({ length: 60 }, (_, second) => `${second} s`));
  });
});

describe("exact durations", () => {
  test.each([
    [0, "0 ms"],
    [340, "340 ms"],
    [SECOND, "1 s"],
    [1_005, "1.005 s"],
    [61_500, "1 m 01.5 s"],
    [90 * SECOND, "1 m 30 s"],
    [2 * HOUR, "2 h"],
    [2 * HOUR + 10 * SECOND, "2h 00m 10s"],
    [DAY + 250, "1d 00h 00m 00.25s"],
    [DAY + 12 * HOUR, "1 d 12 h"],
  ])("%d milliseconds are %j", (ms, text) => {
    expect(formatExactly(ms)).toBe(text);
  });
});

describe("parsed durations", () => {
  test.each([
    ["90s", 90 * SECOND],
    ["15m", 15 * MINUTE],
    ["1h30m", 90 * MINUTE],
    ["7d", 7 * DAY],
    ["2w", 14 * DAY],
    ["250ms", 250],
    ["1m250ms", MINUTE + 250],
    ["1.5h", 90 * MINUTE],
    [" 1H 30 M ", 90 * MINUTE],
    ["0s", 0],
  ])("%j is parsed", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    "",
    " ",
    "5",
    "m",
    "h5",
    "1h30",
    "1h 30",
    "-5m",
    "5 parsecs",
    "1h x",
    "x 1h",
    "2026-01-01T00:00:00Z",
  ])("%j is rejected", (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  test("fractions are rounded to milliseconds", () => {
    expect(parseDuration("1.005s")).toBe(1_005);
    expect(parseDuration("0.07h")).toBe(252_000);
    expect(parseDuration("0.4ms")).toBe(0);
  });

  test("a displayed duration can be parsed to the displayed precision", () => {
    const chance = new Seeded(3);
    for (let at = 0; at < 500; at += 1) {
      const text = formatDuration(chance.below(10) ** chance.below(11));
      expect(formatDuration(parseDuration(text) ?? NaN)).toBe(text);
    }
  });
});
