import { expect, test } from "vitest";
import { markMatches, matchesOf, partsOf, plainText } from "../../src/logs/ansi";

const ESC = "\x1b";
const styles = (raw: string) =>
  partsOf(raw).map(({ text, color, background, ...rest }) => [
    text,
    color?.join(" ") ?? null,
    background?.join(" ") ?? null,
    Object.entries(rest)
      .filter(([, value]) => value)
      .map(([name]) => name)
      .join(),
  ]);

test("a line without colours is one part", () => {
  expect(styles("plain <b>text</b> & more")).toEqual([["plain <b>text</b> & more", null, null, ""]]);
  expect(partsOf("")).toEqual([]);
});

test.each([
  [
    "16 colours",
    `${ESC}[31mred${ESC}[0m no`,
    [
      ["red", "187 0 0", null, ""],
      ["no", null, null, ""],
    ],
  ],
  ["bright", `${ESC}[92mgreen${ESC}[39m`, [["green", "0 255 0", null, ""]]],
  ["256 colours", `${ESC}[38;5;208morange`, [["orange", "255 135 0", null, ""]]],
  ["grey of 256", `${ESC}[38;5;244mgrey`, [["grey", "128 128 128", null, ""]]],
  ["true colour", `${ESC}[38;2;1;2;3mdark`, [["dark", "1 2 3", null, ""]]],
  ["true colour with colons", `${ESC}[38:2::1:2:3mdark`, [["dark", "1 2 3", null, ""]]],
  ["256 with colons", `${ESC}[38:5:208morange`, [["orange", "255 135 0", null, ""]]],
  [
    "bold and underline",
    `${ESC}[1;4mboth${ESC}[24mbold`,
    [
      ["both", null, null, "isBold,isUnderlined"],
      ["bold", null, null, "isBold"],
    ],
  ],
  ["dim, italic, struck", `${ESC}[2;3;9mx`, [["x", null, null, "isDim,isItalic,isStruck"]]],
  [
    "short reset",
    `${ESC}[1mbold${ESC}[mnot`,
    [
      ["bold", null, null, "isBold"],
      ["not", null, null, ""],
    ],
  ],
] as const)("understands %s", (_, raw, expected) => {
  expect(styles(raw).map(([text, ...rest]) => [String(text).trim(), ...rest])).toEqual(expected);
});

test("text on a background is readable", () => {
  expect(styles(`${ESC}[41mx`)).toEqual([["x", "255 255 255", "187 0 0", ""]]);
  expect(styles(`${ESC}[103mx`)).toEqual([["x", "0 0 0", "255 255 85", ""]]);
  // Yellow on white is replaced, blue on white is not.
  expect(styles(`${ESC}[93;107mx`)).toEqual([["x", "0 0 0", "255 255 255", ""]]);
  expect(styles(`${ESC}[34;107mx`)).toEqual([["x", "0 0 187", "255 255 255", ""]]);
});

test.each([
  ["moving the cursor", `a${ESC}[2Kb${ESC}[1;1Hc`, "abc"],
  ["a private mode", `${ESC}[?25lhidden cursor${ESC}[?25h`, "hidden cursor"],
  ["a title", `${ESC}]0;title\x07text`, "text"],
  ["a link", `${ESC}]8;;http://x${ESC}\\label${ESC}]8;;${ESC}\\`, "label"],
  ["another character set", `${ESC}(Btext`, "text"],
  ["an unfinished sequence", `text${ESC}[`, "text"],
  ["an unfinished title", `text${ESC}]0;abc`, "text"],
  ["a lone escape", `a${ESC}`, "a"],
  ["control characters", "a\x00b\x07c\x08\td", "abc\td"],
  ["a progress bar", "10 %\r50 %\r100 %\r", "100 %"],
  ["colours", `${ESC}[1;31mE${ESC}[0m rror`, "E rror"],
])("drops %s", (_, raw, text) => {
  expect(plainText(raw)).toBe(text);
  expect(
    partsOf(raw)
      .map((part) => part.text)
      .join(""),
  ).toBe(text);
});

test("random bytes never leave an escape", () => {
  let seed = 7;
  const random = (n: number): number => (seed = (seed * 48_271) % 2_147_483_647) % n;
  const alphabet = `${ESC}${ESC}${ESC}[[];:?0123489mABHK\\(<>&"\x07\r x`;
  for (let n = 0; n < 5_000; n += 1) {
    const raw = Array.from({ length: random(24) }, () => alphabet[random(alphabet.length)]).join("");
    const text = partsOf(raw)
      .map((part) => part.text)
      .join("");
    expect(text, JSON.stringify(raw)).not.toMatch(/[\x00-\x08\x0a-\x1f]/); // eslint-disable-line no-control-regex
    expect(plainText(raw)).toBe(text);
  }
});

test("matches are found regardless of case, as text", () => {
  expect(matchesOf("a.b A.B axb", "a.b")).toEqual([
    [0, 3],
    [4, 7],
  ]);
  expect(matchesOf("abc", "")).toEqual([]);
  expect(matchesOf("x".repeat(2_000), "x")).toHaveLength(500);
});

test("a match may begin in one style and end in another", () => {
  const marked = markMatches(partsOf(`one ${ESC}[31mtwo${ESC}[0m three`), "E TWO TH");
  expect(marked.map(({ part, isMatch }) => [part.text, isMatch])).toEqual([
    ["on", false],
    ["e ", true],
    ["two", true],
    [" th", true],
    ["ree", false],
  ]);
  expect(marked[2]?.part.color).toEqual([187, 0, 0]);
});

test("adjacent matches in one part", () => {
  const marked = markMatches(partsOf("aaab"), "a");
  expect(marked.map(({ part }) => part.text)).toEqual(["a", "a", "a", "b"]);
});
