import { describe, expect, test } from "vitest";
import { type Json, entriesOf, findInJson, isLeaf, pathTo } from "../../src/ui/json";

describe("paths of values", () => {
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
  ])("%j has the path %s", (key, path) => {
    expect(pathTo("$", key)).toBe(path);
  });

  test("distinct keys have distinct paths", () => {
    const keys = ["a", "a.b", '["a"]', "0", "", "$", "a]", "\n", "\\n"];
    expect(new Set(keys.map((key) => pathTo("$", key))).size).toBe(keys.length);
  });
});

describe("entries", () => {
  test("arrays have indices, objects have keys, leaves have no entries", () => {
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

  test("a leaf has no entries", () => {
    for (const leaf of [null, false, 0, ""]) expect(isLeaf(leaf)).toBe(true);
    for (const value of [[], {}]) expect(isLeaf(value)).toBe(false);
  });
});

describe("search", () => {
  const document: Json = {
    model: { name: "Bert", layers: [12, { width: 768, note: null }] },
    bert: false,
    other: "text",
  };
  const find = (term: string): { hits: string[]; ancestors: string[] } => {
    const { hits, ancestors } = findInJson(document, term);
    return { hits: [...hits].sort(), ancestors: [...ancestors].sort() };
  };

  test("it finds keys and texts in any case, and their ancestors", () => {
    expect(find(" BERT ")).toEqual({ hits: ["$.bert", "$.model.name"], ancestors: ["$", "$.model"] });
  });

  test("it finds numbers, booleans and null as text", () => {
    expect(find("76").hits).toEqual(["$.model.layers[1].width"]);
    expect(find("false").hits).toEqual(["$.bert"]);
    expect(find("null")).toEqual({
      hits: ["$.model.layers[1].note"],
      ancestors: ["$", "$.model", "$.model.layers", "$.model.layers[1]"],
    });
  });

  test("a matching key is a match itself and does not expand its value", () => {
    expect(find("layers")).toEqual({ hits: ["$.model.layers"], ancestors: ["$", "$.model"] });
  });

  test("array indices are not searched", () => {
    expect(findInJson(["a", "b"], "1").hits.size).toBe(0);
  });

  test("an empty search finds nothing", () => {
    expect(find("   ")).toEqual({ hits: [], ancestors: [] });
    expect(find("absent")).toEqual({ hits: [], ancestors: [] });
  });

  test("a document that is a single value can be searched", () => {
    expect([...findInJson("needle", "need").hits]).toEqual(["$"]);
  });
});
