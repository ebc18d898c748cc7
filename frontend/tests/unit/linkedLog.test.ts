import { describe, expect, test } from "vitest";
import { LineIndex, MAX_LINE, STEP } from "../../src/logs/linked/lineIndex";
import { LinkedLog, type ReadBytes } from "../../src/logs/linked/linkedLog";
import { Log } from "../../src/logs/log";
import { textOf } from "../../src/logs/saving";
import { Seeded } from "./seeded";

const ALL = { stream: undefined, levels: [] };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A file of which `most` bytes are read at a time, and a list of what was read. */
function fileOf(text: string, most = Infinity) {
  const file = { bytes: encode(text), requests: [] as [number, number][], failure: null as Error | null };
  const read: ReadBytes = (from, to) => {
    file.requests.push([from, to]);
    if (file.failure) return Promise.reject(file.failure);
    const bytes = file.bytes.subarray(from, Math.min(to, from + most));
    return Promise.resolve({ bytes, total: file.bytes.length });
  };
  return { file, read };
}

const textsOf = (lines: readonly { text: string }[]): string[] => lines.map(({ text }) => text);

describe("the index of lines", () => {
  test("does not depend on the parts in which it gets the bytes", () => {
    const seeded = new Seeded(23);
    for (let trial = 0; trial < 50; trial += 1) {
      const lines = Array.from({ length: 300 }, () => "ä€😀x".repeat(Math.floor(seeded.next() ** 4 * 3_000)));
      const bytes = encode(lines.join("\n"));
      const [whole, parted] = [new LineIndex(), new LineIndex()];
      whole.add(bytes, true);
      while (parted.end < bytes.length) {
        const to = parted.end + MAX_LINE + 1 + seeded.below(5_000);
        parted.add(bytes.subarray(parted.end, to), to >= bytes.length);
      }
      expect([parted.lineCount, parted.end]).toEqual([whole.lineCount, whole.end]);
      for (let first = 1; first <= whole.lineCount; first += STEP) {
        const place = [first, first, Infinity, false] as const;
        expect(parted.placeOf(...place)).toEqual(whole.placeOf(...place));
      }
    }
  });

  test("finds the first error", () => {
    const index = new LineIndex();
    index.add(encode("fine\n\x1b[31mERROR\x1b[0m bad\nERROR worse\n"), true);
    expect(index.firstError).toBe(2);
  });
});

describe("a linked log", () => {
  test("a long line continues as the next one, and no character is cut", async () => {
    const { read } = fileOf(`a\n${"€".repeat(MAX_LINE)}\nb`);
    const log = new LinkedLog(read, false);
    await log.open();
    const { lines } = await log.read({ first: 100 }, ALL);
    expect(textsOf(lines).join("")).toBe(`a${"€".repeat(MAX_LINE)}b`);
    expect(lines.length).toBe(2 + 4);
  });

  test("every line is read by its number, from either end, however little is read at a time", async () => {
    const texts = Array.from({ length: 2_345 }, (_, at) => `line ${at + 1}`);
    for (const most of [Infinity, 30_000]) {
      const { read } = fileOf(texts.join("\n"), most);
      const log = new LinkedLog(read, false);
      await log.open();
      const seen: string[] = [];
      for (let before: number | undefined = undefined as number | undefined; before !== 1;) {
        const page = await log.read({ before, last: 321 }, ALL);
        seen.unshift(...textsOf(page.lines));
        before = page.start;
        expect(page.hasMore).toBe(before > 1);
      }
      expect(seen).toEqual(texts);
      expect(await textOf(new Log(log, ALL))).toEqual([`${texts.join("\n")}\n`]);
    }
  });

  test("a search finds the next and the previous match", async () => {
    const texts = Array.from({ length: 50_000 }, (_, at) => (at % 20_000 === 19_998 ? "A Needle" : "hay"));
    const { read } = fileOf(texts.join("\n"));
    const log = new Log(new LinkedLog(read, false), ALL);
    expect(await log.find("needle", 0, 1)).toBe(19_999);
    expect(await log.find("needle", 19_999, 1)).toBe(39_999);
    expect(await log.find("needle", 39_999, 1)).toBe(19_999);
    expect(await log.find("needle", 19_999, -1)).toBe(39_999);
    expect(await log.find("nothing", 5, 1)).toBeNull();
  });

  test("after a failure it continues", async () => {
    const { file, read } = fileOf("x".repeat(99).concat("\n").repeat(20_000));
    const log = new LinkedLog(read, false);
    await log.open();
    file.failure = new Error("gone");
    await expect(log.reach(Infinity)).rejects.toThrow("gone");
    file.failure = null;
    await log.reach(Infinity);
    expect((await log.read({ last: 1 }, ALL)).lineCount).toBe(20_000);
    expect(log.extent.get()).toEqual({ read: 2_000_000, total: 2_000_000 });
  });

  test("an empty log has no lines", async () => {
    const { read } = fileOf("");
    const log = new LinkedLog(read, false);
    await log.open();
    expect(await log.read({ first: 100 }, ALL)).toMatchObject({ lines: [], lineCount: 0, hasMore: false });
  });
});
