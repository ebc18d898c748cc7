import { describe, expect, test } from "vitest";
import { fromSegment, runParams, toSegment } from "../../src/live/paths";
import { Seeded } from "./seeded";

const NAMES = [
  ...[
    "plain",
    "",
    "a/b",
    "/",
    "//",
    "~",
    "~~",
    "~0",
    "~1",
    "~2",
    "~01",
    "~2..",
    "~/",
    "/~1",
    "100%",
    "%2F",
    "%252F",
  ],
  ...[
    ".",
    "..",
    "...",
    "./..",
    ".hidden",
    "a.b",
    "ä 日本 🚀",
    "a b",
    "?q#h",
    "a\\b",
    "+",
    "&=",
    "~2.",
    "~02",
  ],
];

const SPECIAL = ["~", "/", ".", "%", "0", "1", "2", "é"];

describe("names in URLs", () => {
  test.each(NAMES)("%j is restored", (name) => {
    expect(fromSegment(toSegment(name))).toBe(name);
  });

  test("any combination of special characters is restored, and all URLs are distinct", () => {
    const chance = new Seeded(7);
    const segments = new Map<string, string>();
    for (let at = 0; at < 5_000; at += 1) {
      const name = Array.from({ length: 1 + chance.below(6) }, () => chance.pick(SPECIAL)).join("");
      const segment = toSegment(name);
      expect(fromSegment(segment)).toBe(name);
      expect(segments.get(segment) ?? name).toBe(name);
      segments.set(segment, name);
    }
  });

  test.each(NAMES)("%j is one segment that proxies and browsers do not change", (name) => {
    const segment = toSegment(name);
    expect(segment).not.toContain("/");
    const { pathname } = new URL(`https://host/runs/${encodeURIComponent(segment)}/end`);
    expect(pathname.split("/")).toHaveLength(4);
    // A proxy that decodes the path does not change its meaning.
    const undone = pathname.replaceAll(/%2F/gi, "/");
    expect(decodeURIComponent(undone.split("/")[2] ?? "")).toBe(segment);
    expect(undone.split("/")).toHaveLength(4);
  });

  test("plain names stay readable", () => {
    expect(toSegment("train-model.v2_final")).toBe("train-model.v2_final");
  });

  test("the route of a run has three segments", () => {
    expect(runParams({ project: "a/b", domain: "..", name: "~x" })).toEqual({
      project: "a~1b",
      domain: "~2..",
      name: "~0x",
    });
  });
});
