import { describe, expect, test } from "vitest";
import { flag, parseQuery, printQuery, text, texts } from "../../src/live/search";

const NAMES = [
  "plain",
  "a/b",
  "~",
  "100%",
  "%2F",
  "..",
  "a&b=c",
  "a+b c",
  "#?",
  "ä 日本 🚀",
  "key=value",
  " ",
];

describe("query strings", () => {
  test.each(NAMES)("%j is restored", (value) => {
    expect(parseQuery(printQuery({ q: value }))).toEqual({ q: value });
    expect(parseQuery(printQuery({ phase: [value, "x"] }))).toEqual({ phase: [value, "x"] });
  });

  test("the question mark is optional", () => {
    expect(parseQuery("?a=1&b=2")).toEqual({ a: "1", b: "2" });
    expect(parseQuery("a=1&b=2")).toEqual({ a: "1", b: "2" });
    expect(parseQuery("")).toEqual({});
  });

  test("a repeated name is a list in order", () => {
    expect(parseQuery("?a=3&b=x&a=1&a=2")).toEqual({ a: ["3", "1", "2"], b: "x" });
  });

  test("names of object properties are ordinary", () => {
    const query = parseQuery("?constructor=a&toString=b&toString=c&__proto__=d");
    expect(Object.entries(query)).toEqual([
      ["constructor", "a"],
      ["toString", ["b", "c"]],
    ]);
    expect(Object.getPrototypeOf(query)).toBe(Object.prototype);
  });

  test("empty values are omitted, and zero is not empty", () => {
    expect(printQuery({ a: "", b: undefined, c: null, d: false, e: [], f: [""] })).toBe("");
    expect(printQuery({ a: 0, b: true, c: 12 })).toBe("?a=0&b=true&c=12");
  });

  test("colons, slashes and equals signs are not encoded", () => {
    expect(printQuery({ from: "2026-01-01T00:00:00Z", label: "a/b=c" })).toBe(
      "?from=2026-01-01T00:00:00Z&label=a/b=c",
    );
  });
});

describe("reading values", () => {
  test("a single text is the first one", () => {
    expect(text("a")).toBe("a");
    expect(text(["a", "b"])).toBe("a");
    for (const value of [undefined, "", [], [""], 7, null, {}]) expect(text(value)).toBeUndefined();
  });

  test("several texts are all non-empty texts", () => {
    expect(texts("a")).toEqual(["a"]);
    expect(texts(["a", "", 7, "b"])).toEqual(["a", "b"]);
    for (const value of [undefined, "", [], [""], 7]) expect(texts(value)).toBeUndefined();
  });

  test("a flag is set only by true", () => {
    expect(flag("true")).toBe(true);
    expect(flag(true)).toBe(true);
    for (const value of ["false", "1", "", undefined, false, "TRUE"]) expect(flag(value)).toBeUndefined();
  });
});
