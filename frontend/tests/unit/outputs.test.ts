import { expect, test } from "vitest";
import { recordsOf, scalarsOf } from "../../src/artifacts/outputs";
import { openAtFirst } from "../../src/artifacts/views";
import { partsOf } from "../../src/ui/LinkedText";

test("scalars are shown by name, and lists of flat objects as a table", () => {
  expect(scalarsOf({ rows: 9, ok: true, none: null, path: "s3://x" })).toEqual([
    ["rows", 9],
    ["ok", true],
    ["none", null],
    ["path", "s3://x"],
  ]);
  expect(scalarsOf(0.5)).toEqual([["", 0.5]]);
  for (const other of [{}, [], [1], { a: [1] }, { a: "x".repeat(2_001) }])
    expect(scalarsOf(other)).toBeNull();
  expect(
    recordsOf([
      { a: 1, b: "x" },
      { b: null, c: false },
    ]),
  ).toEqual({
    columns: ["a", "b", "c"],
    rows: [
      ["1", "x", ""],
      ["", "", "false"],
    ],
    rowCount: 2,
    hasMore: false,
  });
  for (const other of [[], [1], [{}], [{ a: {} }], { a: 1 }, [[1]]]) expect(recordsOf(other)).toBeNull();
});

const file = (kind: string, name: string, size = 100) => ({ kind, name, size, mediaType: "" });
const open = (...files: ReturnType<typeof file>[]) => [...openAtFirst(files)].map(({ name }) => name);

test("small reports and outputs show themselves, else the first picture, table or text", () => {
  expect(open(file("FILE", "a.png"), file("OUTPUTS", "o.json"), file("REPORT", "r.md"))).toEqual([
    "r.md",
    "o.json",
  ]);
  expect(open(file("OUTPUTS", "large.json", 3e6), file("OUTPUTS", "o.csv"))).toEqual(["o.csv"]);
  expect(open(file("OUTPUTS", "large.json", 3e6))).toEqual(["large.json"]);
  expect(open(file("REPORT", "r.html"), file("REPORT", "s.html"), file("OUTPUTS", "o.md"))).toEqual([
    "r.html",
    "o.md",
  ]);
  expect(open(file("INPUTS", "i.json"), file("FILE", "a.bin"), file("FILE", "a.png"))).toEqual(["a.png"]);
  expect(open(file("FILE", "a.bin"))).toEqual([]);
  expect(open(...Array.from({ length: 9 }, (_, n) => file("OUTPUTS", `${n}.json`)))).toHaveLength(6);
});

test("URLs in a text are apart, without what follows the sentence", () => {
  expect(partsOf("see https://x.test/a?b=1#c, (http://y.test/) or javascript:alert(1).")).toEqual([
    "see ",
    "https://x.test/a?b=1#c",
    ", (",
    "http://y.test/",
    ") or javascript:alert(1).",
  ]);
  expect(partsOf("nothing")).toEqual(["nothing"]);
});
