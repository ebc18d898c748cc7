import { expect, test } from "vitest";
import { AllLines, blocksFrom } from "../../src/logs/allLines";
import { blockAt } from "../../src/logs/lines";
import { LogServer } from "./logServer";

function open(server: LogServer) {
  const problems: unknown[] = [];
  let changes = 0;
  const log = new AllLines(
    server.read,
    () => (changes += 1),
    (reason) => problems.push(reason),
  );
  const numbers = (at: number): (number | undefined)[] => {
    const block = log.blocks[at];
    const lines = block ? log.linesOf(block) : null;
    return [lines?.[0]?.number, lines?.at(-1)?.number, lines?.length];
  };
  return { log, problems, numbers, changes: () => changes };
}

const extents = (blocks: { first: number; last: number; kind: string }[]) =>
  blocks.map(({ first, last, kind }) => `${kind === "lines" ? "" : `${kind} `}${first}-${last}`);

test("blocks are whole hundreds, cut where lines were omitted", () => {
  expect(extents(blocksFrom(1, 0, []))).toEqual([]);
  expect(extents(blocksFrom(1, 250, []))).toEqual(["1-100", "101-200", "201-250"]);
  expect(extents(blocksFrom(1, 400, [{ first: 151, last: 320 }]))).toEqual([
    "1-100",
    "101-150",
    "omitted 151-320",
    "321-400",
  ]);
  expect(extents(blocksFrom(1, 100, [{ first: 1, last: 40 }]))).toEqual(["omitted 1-40", "41-100"]);
  expect(blocksFrom(1, 1_000_000, [])).toHaveLength(10_000);
});

test("a number is found in its block", () => {
  const blocks = blocksFrom(1, 1_000, [{ first: 151, last: 320 }]);
  const at = (number: number) => extents(blocks.slice(blockAt(blocks, number)).slice(0, 1))[0];
  expect([1, 100, 101, 150, 151, 320, 321, 1_000].map(at)).toEqual([
    "1-100",
    "1-100",
    "101-150",
    "101-150",
    "omitted 151-320",
    "omitted 151-320",
    "321-400",
    "901-1000",
  ]);
  expect(blockAt(blocks, 1_001)).toBe(-1);
});

test("only what is visible is read", async () => {
  const server = new LogServer(100_000);
  const { log, numbers } = open(server);
  log.resize(100_000, []);
  expect(await log.reveal(50_050)).toBe(500);
  expect(numbers(500)).toEqual([50_001, 50_100, 100]);
  expect(numbers(504)).toEqual([50_401, 50_500, 100]);
  expect(numbers(505)).toEqual([undefined, undefined, undefined]);
  expect(server.requests).toEqual(["500 after 50000"]);
  // Dragging the scrollbar: of many positions the last one is read.
  for (let at = 0; at < 400; at += 1) log.show(at, at + 1);
  await log.reveal(40_000);
  expect(server.requests).toHaveLength(3);
});

test("memory is bounded, and what was dropped is read again", async () => {
  const server = new LogServer(100_000);
  const { log, numbers } = open(server);
  log.resize(100_000, []);
  for (let number = 1; number < 60_000; number += 500) await log.reveal(number);
  const kept = log.blocks.filter((block) => log.linesOf(block)).length;
  expect(kept).toBe(200);
  expect(numbers(0)[2]).toBeUndefined();
  await log.reveal(1);
  expect(numbers(0)).toEqual([1, 100, 100]);
});

test("new lines are added where the end is loaded, and elsewhere only counted", async () => {
  const server = new LogServer(250);
  const { log, numbers } = open(server);
  log.resize(250, []);
  await log.revealEnd();
  expect(numbers(2)).toEqual([201, 250, 50]);
  const [, , end] = log.blocks;
  const before = end && log.linesOf(end);
  log.append(server.write(120));
  expect(before).toHaveLength(50);
  expect(extents(log.blocks)).toEqual(["1-100", "101-200", "201-300", "301-370"]);
  expect([numbers(2), numbers(3)]).toEqual([
    [201, 300, 100],
    [301, 370, 70],
  ]);
  expect(server.requests).toHaveLength(1);
  // Repeated lines change nothing.
  log.append(server.lines.slice(290, 370));
  expect(numbers(3)).toEqual([301, 370, 70]);
  // After a hole the block is incomplete, and read once it is visible.
  server.write(10);
  log.append(server.write(5));
  expect(numbers(3)).toEqual([301, 370, 70]);
  log.show(3, 3);
  await log.revealEnd();
  expect(numbers(3)).toEqual([301, 385, 85]);
});

test("lines that are omitted later disappear, and a gap is one block", async () => {
  const server = new LogServer(1_000);
  const { log, numbers } = open(server);
  log.resize(1_000, []);
  await log.reveal(450);
  server.omitted = [{ first: 101, last: 830 }];
  await log.reveal(1_000);
  expect(extents(log.blocks)).toEqual(["1-100", "omitted 101-830", "831-900", "901-1000"]);
  expect(numbers(1)[2]).toBeUndefined();
  await log.reveal(831);
  expect(numbers(2)).toEqual([831, 900, 70]);
  expect(await log.reveal(500)).toBe(1);
});

test("an error is reported once, and the next look reads again", async () => {
  const server = new LogServer(100);
  const { log, problems, numbers } = open(server);
  log.resize(100, []);
  server.failure = new Error("away");
  await log.reveal(1);
  expect(problems).toEqual([server.failure]);
  server.failure = null;
  await log.reveal(1);
  expect(numbers(0)).toEqual([1, 100, 100]);
});

test("a server that has fewer lines than it said is not read from for ever", async () => {
  const server = new LogServer(100);
  const { log } = open(server);
  log.resize(500, []);
  await log.reveal(450);
  expect(server.requests).toHaveLength(1);
});
