import { describe, expect, test } from "vitest";
import { type Json, entriesOf, findInJson, isLeaf, pathTo } from "../../src/ui/json";

describe("the way to a value", () => {
  test.each([
    ["name", "$.name"],
    ["_a$1", "$._a$1"],
    [3, "$[3]"],
    ["3", '$["3"]'],
    ["a-b", '$["a-b"]'],
    ["a.b", '$["a.b"]'],
    ['a"b', '$["a\\"b"]'],
    ["", '$[""]'],
    ["ä", '$["ä"]'],
  ])("%j is reached by %s", (key, path) => {
    expect(pathTo("$", key)).toBe(path);
  });

  test("no two keys of an object are reached by the same way", () => {
    const keys = ["a", "a.b", '["a"]', "0", "", "$", "a]", "\n", "\\n"];
    expect(new Set(keys.map((key) => pathTo("$", key))).size).toBe(keys.length);
  });
});

describe("entries", () => {
  test("of an array they are numbered, of an object they are named, of a leaf there are none", () => {
    expect(entriesOf(["x", null])).toEqual([
      [0, "x"],
      [1, null],
    ]);
    expect(entriesOf({ a: 1, b: [] })).toEqual([
      ["a", 1],
      ["b", []],
    ]);
    for (const leaf of [null, true, 7, "text"]) expect(entriesOf(leaf)).toEqual([]);
  });

  test("a leaf is what holds nothing", () => {
    for (const leaf of [null, false, 0, ""]) expect(isLeaf(leaf)).toBe(true);
    for (const value of [[], {}]) expect(isLeaf(value)).toBe(false);
  });
});

describe("the search", () => {
  const document: Json = {
    model: { name: "Bert", layers: [12, { width: 768, note: null }] },
    bert: false,
    other: "text",
  };
  const find = (term: string): { hits: string[]; around: string[] } => {
    const { hits, around } = findInJson(document, term);
    return { hits: [...hits].sort(), around: [...around].sort() };
  };

  test("it finds keys and texts in any case, and all that lies around them", () => {
    expect(find(" BERT ")).toEqual({ hits: ["$.bert", "$.model.name"], around: ["$", "$.model"] });
  });

  test("it finds numbers, truth values and null as they are written", () => {
    expect(find("76").hits).toEqual(["$.model.layers[1].width"]);
    expect(find("false").hits).toEqual(["$.bert"]);
    expect(find("null")).toEqual({
      hits: ["$.model.layers[1].note"],
      around: ["$", "$.model", "$.model.layers", "$.model.layers[1]"],
    });
  });

  test("a key that matches is a hit itself, and opens nothing below it", () => {
    expect(find("layers")).toEqual({ hits: ["$.model.layers"], around: ["$", "$.model"] });
  });

  test("the place in an array is no text to be found", () => {
    expect(findInJson(["a", "b"], "1").hits.size).toBe(0);
  });

  test("nothing is found of nothing", () => {
    expect(find("   ")).toEqual({ hits: [], around: [] });
    expect(find("absent")).toEqual({ hits: [], around: [] });
  });

  test("a document that is a single value can be searched", () => {
    expect([...findInJson("needle", "need").hits]).toEqual(["$"]);
  });
});
