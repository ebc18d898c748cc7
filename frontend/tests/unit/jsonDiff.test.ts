import { describe, expect, test } from "vitest";
import { diffJson, excerpts, type JsonChange } from "../../src/compare/jsonDiff";

describe("documents", () => {
  const lines = (change: JsonChange | null, path = "$"): string[] => {
    if (!change) return [];
    const here = change.key === null ? path : `${path}.${change.key}`;
    if (change.kind === "inside") return change.children.flatMap((child) => lines(child, here));
    return [`${here} ${change.kind} ${JSON.stringify(change.before)} ${JSON.stringify(change.after)}`];
  };

  test("key by key, with what is equal left out", () => {
    const before = { lr: 0.1, data: { table: "orders", columns: ["a", "b"], rows: 5 }, gone: null };
    const after = { data: { table: "orders", columns: ["a", "c"], rows: 6 }, lr: 0.1, "new key": [1] };
    const { change, count } = diffJson(before, after);
    expect(lines(change)).toEqual([
      '$.data.columns.1 changed "b" "c"',
      "$.data.rows changed 5 6",
      "$.new key added undefined [1]",
      "$.gone removed null undefined",
    ]);
    expect(count).toBe(4);
    expect(change?.equal).toEqual(["lr"]);
    expect(change?.children[0]?.equal).toEqual(["table"]);
  });

  test("equal documents, other types, and none", () => {
    expect(diffJson({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toEqual({
      change: null,
      count: 0,
      isCut: false,
    });
    expect(lines(diffJson([1], { 0: 1 }).change)).toEqual(['$ changed [1] {"0":1}']);
    expect(lines(diffJson(undefined, { a: 1 }).change)).toEqual(['$ added undefined {"a":1}']);
    expect(lines(diffJson({ constructor: 1 }, { toString: 1 }).change)).toHaveLength(2);
  });

  test("what is inserted into an array moves nothing else", () => {
    expect(lines(diffJson([1, 2, 3, 4], [1, 9, 2, 3, 4]).change)).toEqual(["$.1 added undefined 9"]);
    expect(lines(diffJson([{ a: 1 }, { a: 2 }], [{ a: 2 }]).change)).toEqual([
      '$.0 removed {"a":1} undefined',
    ]);
  });

  test("large and deep documents are compared within a limit", () => {
    const wide = (value: number) =>
      Object.fromEntries(Array.from({ length: 300_000 }, (_, n) => [`k${n}`, value]));
    const { count, isCut } = diffJson(wide(1), wide(2));
    expect(isCut).toBe(true);
    expect(count).toBe(2_000);
    const deep = (end: number): unknown => Array.from({ length: 3_000 }).reduce((inner) => [inner], end);
    expect(diffJson(deep(1) as never, deep(2) as never).count).toBe(1);
    expect(diffJson(deep(1) as never, deep(1) as never).change).toBeNull();
  });

  test("of long texts what is around the first difference is shown", () => {
    const text = "x".repeat(5_000);
    const [before, after] = excerpts(`${text}old${text}`, `${text}new${text}`);
    expect(before).toContain("old");
    expect(after).toContain("new");
    expect(before.length).toBeLessThan(300);
    expect(excerpts("a", "b")).toEqual(['"a"', '"b"']);
  });
});
