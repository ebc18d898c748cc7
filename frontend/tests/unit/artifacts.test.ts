import { expect, test } from "vitest";
import { readCsv } from "../../src/artifacts/csv";
import { columnWidths, isNumeric, sorted } from "../../src/artifacts/table";
import { viewOf } from "../../src/artifacts/views";

test.each([
  ["application/json", "x", "json"],
  ["application/ld+json; charset=utf-8", "x", "json"],
  ["text/plain; charset=utf-8", "report.md", "markdown"],
  ["text/plain", "notes", "text"],
  ["text/x-python", "main.py", "text"],
  ["text/csv", "x", "csv"],
  ["application/octet-stream", "deep/rows.parquet", "parquet"],
  ["application/octet-stream", "weights.bin", null],
  ["image/svg+xml", "x", "image"],
  ["image/tiff", "x", null],
  ["TEXT/HTML", "x", "html"],
  ["application/zip", "looks.csv", null],
  ["constructor", "x.constructor", null],
])("%s of %s is shown as %s", (mediaType, name, view) => {
  expect(viewOf({ mediaType, name, size: 100 })).toBe(view);
});

test("what is too large is only downloaded", () => {
  expect(viewOf({ mediaType: "text/csv", name: "x", size: 21e6 })).toBeNull();
  expect(viewOf({ mediaType: "application/octet-stream", name: "x.parquet", size: 21e6 })).toBe("parquet");
});

test.each([
  ["commas and quotes", 'a,b\n1,"x, ""y""\nz"\n', [["1", 'x, "y"\nz']]],
  [
    "semicolons",
    "a;b\n1;2\n3;4",
    [
      ["1", "2"],
      ["3", "4"],
    ],
  ],
  ["tabs", "a\tb\n1\t2", [["1", "2"]]],
  ["a byte order mark and Windows line ends", "\uFEFFa,b\r\n1,2\r\n", [["1", "2"]]],
  ["empty lines", "a,b\n\n1,2\n\n", [["1", "2"]]],
])("reads %s", (_, text, rows) => {
  expect(readCsv(text)).toEqual({ columns: ["a", "b"], rows, rowCount: rows.length, hasMore: false });
});

test("rows that are longer than the head have columns without names", () => {
  expect(readCsv("a\n1,2,3\n4")).toMatchObject({ columns: ["a", "", ""], rowCount: 2 });
  expect(readCsv("")).toMatchObject({ columns: [], rowCount: 0 });
});

test("a long table is cut", () => {
  const table = readCsv(["n", ...Array.from({ length: 50_500 }, (_, n) => n)].join("\n"));
  expect([table.rowCount, table.hasMore]).toEqual([50_000, true]);
});

test("columns of numbers are sorted by value, empty cells last", () => {
  const table = readCsv("name,price\nb,10\na,9\nc,\nd,-1.5e2\n");
  expect([isNumeric(table, 0), isNumeric(table, 1)]).toEqual([false, true]);
  const names = (column: number, isDescending: boolean): string =>
    sorted(table, column, isDescending)
      .map(([name]) => name)
      .join("");
  expect([names(1, false), names(1, true), names(0, false)]).toEqual(["dabc", "badc", "abcd"]);
  expect(columnWidths(table)).toEqual([6, 7]);
});
