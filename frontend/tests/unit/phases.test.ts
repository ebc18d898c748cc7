import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BAR_ORDER, PHASES, hasEnded, phaseStyle, words } from "../../src/ui/phases";

const ROOT = join(import.meta.dirname, "..", "..", "..");

describe("known phases", () => {
  test("they are those of the schema", () => {
    const schema = readFileSync(join(ROOT, "schema.graphql"), "utf8");
    const [, body = ""] = /^enum ActionPhase \{\n(.*?)^\}/ms.exec(schema) ?? [];
    const names = [...body.replace(/"""[^]*?"""/g, "").matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    expect([...PHASES].sort()).toEqual(names.sort());
  });

  test("each symbol is in a Unicode block that all fonts have", () => {
    // ASCII, general punctuation, arrows, geometric shapes, dingbats.
    const common = /^[\u0021-\u007e\u2010-\u2027\u2190-\u21ff\u25a0-\u25ff\u2701-\u27bf]$/u;
    for (const phase of PHASES) expect(phaseStyle(phase).sign, phase).toMatch(common);
    expect(new Set(PHASES.map((phase) => phaseStyle(phase).sign)).size).toBe(PHASES.length);
  });

  test("each has a position in the bar", () => {
    expect([...BAR_ORDER].sort()).toEqual([...PHASES].sort());
  });

  test("each has a distinct symbol and a colour of the theme", () => {
    const theme = readFileSync(join(ROOT, "frontend/src/ui/theme.css"), "utf8");
    const looks = [...PHASES, "UNHEARD_OF"].map(phaseStyle);
    expect(new Set(looks.map(({ sign }) => sign)).size).toBe(looks.length);
    for (const { color } of looks) expect(theme).toContain(`${color.slice(4, -1)}:`);
  });

  test("six of them are terminal", () => {
    expect(PHASES.filter(hasEnded)).toEqual([
      ...["SUCCEEDED", "RECOVERED", "SKIPPED", "FAILED", "TIMED_OUT", "ABORTED"],
    ]);
  });
});

describe("unknown phases", () => {
  test("it is shown by name in grey and counts as unfinished", () => {
    expect(phaseStyle("DEEP_SLEEP")).toEqual({
      label: "Deep sleep",
      color: "var(--phase-unknown)",
      sign: "?",
      ended: false,
    });
    expect(hasEnded("DEEP_SLEEP")).toBe(false);
  });

  test("names of object properties and the empty name are unknown too", () => {
    for (const name of ["constructor", "toString", "__proto__", ""]) {
      expect(phaseStyle(name)).toMatchObject({ sign: "?", ended: false });
      expect(phaseStyle(name).label).toBe(words(name));
    }
  });
});

test("names are written as words, except abbreviations", () => {
  expect(words("WAITING_FOR_RESOURCES")).toBe("Waiting for resources");
  expect(words("API")).toBe("Api");
  expect(words("CLI")).toBe("CLI");
  expect(words("")).toBe("");
});
