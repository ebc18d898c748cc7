import { expect, test } from "vitest";
import type { LogFilter } from "../../src/logs/lines";
import { MatchingLines } from "../../src/logs/matchingLines";
import { LogServer } from "./logServer";

function open(server: LogServer, filter: Partial<LogFilter> = { levels: ["ERROR"] }) {
  const problems: unknown[] = [];
  const log = new MatchingLines(
    server.read,
    { stream: undefined, levels: [], ...filter },
    () => undefined,
    (reason) => problems.push(reason),
  );
  const numbers = (): number[] =>
    log.blocks.flatMap((block) => log.linesOf(block)?.map(({ number }) => number) ?? []);
  const settled = () => expect.poll(() => Reflect.get(log, "reading") as unknown, { interval: 1 }).toBeNull();
  return { log, problems, numbers, settled };
}

const range = (first: number, last: number, step: number): number[] =>
  Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, at) => first + at * step);

test("a few matches are loaded as a whole", async () => {
  const { log, numbers } = open(new LogServer(95));
  await log.revealStart();
  expect(numbers()).toEqual(range(10, 90, 10));
  expect([log.hasBefore, log.hasAfter]).toEqual([false, false]);
});

test("later matches are loaded when the end is visible, and earlier ones when the start is", async () => {
  const { log, numbers, settled } = open(new LogServer(20_000));
  await log.reveal(10_000);
  // 100 before and 500 after.
  expect(numbers()).toEqual(range(9_000, 14_990, 10));
  expect([log.hasBefore, log.hasAfter]).toEqual([true, true]);
  log.show(2, 3);
  await settled();
  expect(numbers()).toHaveLength(600);
  log.show(4, log.blocks.length - 1);
  await settled();
  expect(numbers()).toEqual(range(9_000, 19_990, 10));
  log.show(0, 1);
  await settled();
  expect(numbers()).toEqual(range(4_000, 19_990, 10));
  log.show(0, 1);
  await settled();
  expect(numbers()).toEqual(range(10, 19_990, 10));
  expect(log.hasBefore).toBe(false);
});

test("new lines are added at the end if it is loaded, and only those that match", async () => {
  const server = new LogServer(20_000);
  const { log, numbers } = open(server, { stream: "stderr", levels: [] });
  await log.revealEnd();
  expect(numbers().at(-1)).toBe(20_000);
  const keys = log.blocks.map(({ key }) => key);
  log.append(server.write(30));
  expect(numbers().slice(-3)).toEqual([20_026, 20_028, 20_030]);
  log.append(server.lines.slice(-5));
  expect(numbers().slice(-3)).toEqual([20_026, 20_028, 20_030]);
  expect(log.blocks.map(({ key }) => key).slice(0, keys.length)).toEqual(keys);
  await log.reveal(1);
  expect(log.hasAfter).toBe(true);
  const count = numbers().length;
  log.append(server.write(30));
  expect(numbers()).toHaveLength(count);
  await log.revealEnd();
  expect(numbers().at(-1)).toBe(20_060);
});

test("memory is bounded at both ends", async () => {
  const { log, numbers, settled } = open(new LogServer(60_000), { stream: "stdout", levels: [] });
  await log.revealStart();
  for (let n = 0; n < 40 && log.hasAfter; n += 1) {
    log.show(1, log.blocks.length - 1);
    await settled();
  }
  expect(log.blocks).toHaveLength(100);
  expect(log.hasBefore).toBe(true);
  const first = numbers()[0] ?? 0;
  log.show(0, 1);
  await settled();
  expect(log.blocks).toHaveLength(100);
  expect(numbers()[0]).toBe(first - 1_000);
  expect(log.hasAfter).toBe(true);
  expect(new Set(numbers()).size).toBe(numbers().length);
});

test("a line within what is loaded is not read again; a line without match leads to the next", async () => {
  const server = new LogServer(2_000);
  const { log } = open(server);
  await log.reveal(1_000);
  const { length } = server.requests;
  const at = await log.reveal(1_005);
  expect(server.requests).toHaveLength(length);
  const block = log.blocks[at];
  expect(block && log.linesOf(block)?.some(({ number }) => number === 1_010)).toBe(true);
});

test("an error is reported, and can be tried again", async () => {
  const server = new LogServer(100);
  const { log, problems, numbers } = open(server);
  server.failure = new Error("away");
  await log.revealEnd();
  expect(problems).toEqual([server.failure]);
  server.failure = null;
  await log.revealEnd();
  expect(numbers()).toHaveLength(10);
});
