import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BAR_ORDER, PHASES, hasEnded, phaseLook, words } from "../../src/ui/phases";

const ROOT = join(import.meta.dirname, "..", "..", "..");

describe("the phases that are known", () => {
  test("they are those of the API's schema", () => {
    const schema = readFileSync(join(ROOT, "schema.graphql"), "utf8");
    const [, body = ""] = /^enum ActionPhase \{\n(.*?)^\}/ms.exec(schema) ?? [];
    const names = [...body.replace(/"""[^]*?"""/g, "").matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    expect([...PHASES].sort()).toEqual(names.sort());
  });

  test("the sign of each is in a block of Unicode that fonts have everywhere", () => {
    // ASCII, general punctuation, arrows, geometric shapes, dingbats.
    const common = /^[\u0021-\u007e\u2010-\u2027\u2190-\u21ff\u25a0-\u25ff\u2701-\u27bf]$/u;
    for (const phase of PHASES) expect(phaseLook(phase).sign, phase).toMatch(common);
    expect(new Set(PHASES.map((phase) => phaseLook(phase).sign)).size).toBe(PHASES.length);
  });

  test("a bar has a place for each of them", () => {
    expect([...BAR_ORDER].sort()).toEqual([...PHASES].sort());
  });

  test("each has a sign of its own, and a colour that the theme has", () => {
    const theme = readFileSync(join(ROOT, "frontend/src/ui/theme.css"), "utf8");
    const looks = [...PHASES, "UNHEARD_OF"].map(phaseLook);
    expect(new Set(looks.map(({ sign }) => sign)).size).toBe(looks.length);
    for (const { color } of looks) expect(theme).toContain(`${color.slice(4, -1)}:`);
  });

  test("five of them are the end of an action", () => {
    expect(PHASES.filter(hasEnded)).toEqual(["SUCCEEDED", "RECOVERED", "FAILED", "TIMED_OUT", "ABORTED"]);
  });
});

describe("a phase that is not known", () => {
  test("it is shown by its name, in grey, and counts as going on", () => {
    expect(phaseLook("DEEP_SLEEP")).toEqual({
      label: "Deep sleep",
      color: "var(--phase-unknown)",
      sign: "?",
      ended: false,
    });
    expect(hasEnded("DEEP_SLEEP")).toBe(false);
  });

  test("a name that every object has is no exception, nor is none at all", () => {
    for (const name of ["constructor", "toString", "__proto__", ""]) {
      expect(phaseLook(name)).toMatchObject({ sign: "?", ended: false });
      expect(phaseLook(name).label).toBe(words(name));
    }
  });
});

test("names are written as words, but for abbreviations", () => {
  expect(words("WAITING_FOR_RESOURCES")).toBe("Waiting for resources");
  expect(words("API")).toBe("Api");
  expect(words("CLI")).toBe("CLI");
  expect(words("")).toBe("");
});
