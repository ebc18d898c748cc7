import { expect, test } from "vitest";
import { formatBytes } from "../../src/ui/bytes";
import { formatMeasured, formatNumber, percentOf } from "../../src/ui/numbers";
import { sparklinePath } from "../../src/ui/sparklinePath";

test.each([
  [0, "0"],
  [1234567, "1,234,567"],
  [0.0123456, "0.012346"],
  [1234.5678, "1,234.6"],
  [123456.7, "123,457"],
  [-2.5, "-2.5"],
  [1.2e-7, "1.2e-7"],
  [5e20, "5e+20"],
  [NaN, "NaN"],
])("the number %d", (value, text) => expect(formatNumber(value)).toBe(text));

test.each([
  [1, "By", "1 byte"],
  [1536, "By", "1.5 KiB"],
  [1536, "By/s", "1.5 KiB/s"],
  [75, "s", "1 m 15 s"],
  [0.25, "s", "0.25 s"],
  [42, "1", "42"],
  [42, "%", "42 %"],
  [9, "rows", "9 rows"],
  [9, null, "9"],
])("%d %s", (value, unit, text) => expect(formatMeasured(value, unit)).toBe(text));

test.each([
  [0, "0 bytes"],
  [999, "999 bytes"],
  [1000, "1 KiB"],
  [10 * 1024, "10 KiB"],
  [1_048_576, "1 MiB"],
  [5e15, "4,547 TiB"],
])("%d bytes", (size, text) => expect(formatBytes(size)).toBe(text));

test("percent are rounded down, and unknown without a whole", () => {
  expect(percentOf(999, 1_000)).toBe(99);
  expect(percentOf(1_000, 1_000)).toBe(100);
  expect(percentOf(5, 4)).toBe(100);
  expect(percentOf(-1, 4)).toBe(0);
  expect([percentOf(1, null), percentOf(1, 0), percentOf(1, undefined)]).toEqual([null, null, null]);
});

test("a sparkline is within its frame, and a constant is in the middle", () => {
  const points = [5, 1, 3].map((value, at) => ({ at: at * 10, value }));
  expect(sparklinePath(points, 100, 20, 2)).toEqual({ line: "M2 2L50 18L98 10", end: [98, 10] });
  expect(sparklinePath([{ at: 1, value: 7 }], 100, 20, 2).end).toEqual([50, 10]);
  expect(sparklinePath([{ at: 1, value: NaN }], 100, 20, 2)).toEqual({ line: "", end: null });
});
