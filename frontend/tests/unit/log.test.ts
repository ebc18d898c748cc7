import { expect, test } from "vitest";
import { Log, type LogSource } from "../../src/logs/log";
import type { Page } from "../../src/logs/lines";
import { textOf } from "../../src/logs/saving";
import { LogServer, lineOf } from "./logServer";

const ALL = { stream: undefined, levels: [] };

/** A log whose server searches `reach` lines at a time. */
function open(server: LogServer, { filter = ALL, reach = Infinity, at = "start" as const } = {}) {
  let send: Parameters<LogSource["follow"]>[1] | undefined;
  let from: number | undefined;
  const source: LogSource = {
    read: async (range, filter, search): Promise<Page> => {
      const whole = await server.read(range, filter);
      if (search === undefined) return whole;
      const { after = 0, before = server.lines.length + 1 } = range;
      const isForward = range.first !== undefined;
      const start = isForward ? after + 1 : Math.max(1, before - reach);
      const end = isForward ? Math.min(server.lines.length, after + reach) : before - 1;
      const found = server.lines.filter(
        ({ number, text }) => number >= start && number <= end && text.includes(search),
      );
      const [line] = isForward ? found : found.reverse();
      return {
        ...whole,
        lines: line ? [line] : [],
        start: isForward ? start : (line?.number ?? start),
        end: isForward ? (line?.number ?? end) : end,
        hasMore: isForward ? end < server.lines.length : start > 1,
      };
    },
    follow: (after, watcher) => {
      from = after;
      send = watcher;
      return () => (send = undefined);
    },
  };
  const log = new Log(source, filter);
  const ready = new Promise<() => void>((resolve) => {
    const stop = log.open(at, () => resolve(stop));
  });
  return { log, ready, sender: () => send, from: () => from };
}

test("a search goes forwards, backwards and around, however little the server searches at a time", async () => {
  const server = new LogServer(1_000);
  server.lines[99] = { ...lineOf(100), text: "needle one" };
  server.lines[799] = { ...lineOf(800), text: "needle two" };
  const { log, ready } = open(server, { reach: 30 });
  await ready;
  expect(await log.find("needle", 0, 1)).toBe(100);
  expect(await log.find("needle", 100, 1)).toBe(800);
  expect(await log.find("needle", 800, 1)).toBe(100);
  expect(await log.find("needle", 100, -1)).toBe(800);
  expect(await log.find("needle", 800, -1)).toBe(100);
  expect(await log.find("needle", Infinity, -1)).toBe(800);
  expect(await log.find("nothing", 5, 1)).toBeNull();
  expect(await log.find("nothing", 5, -1)).toBeNull();
});

test("only the latest of several searches counts", async () => {
  const server = new LogServer(1_000);
  const { log, ready } = open(server, { reach: 10 });
  await ready;
  const slow = log.find("nothing", 0, 1);
  const quick = log.find("line 3", 0, 1);
  expect(await quick).toBe(3);
  expect(await slow).toBeUndefined();
});

test("new lines are followed from the last known one until it is closed", async () => {
  const server = new LogServer(120);
  const { log, ready, sender, from } = open(server);
  const stop = await ready;
  expect(from()).toBe(120);
  const lines = server.write(30);
  sender()?.next({ lines, lineCount: 150, firstError: 10, omitted: [] });
  expect([log.lineCount, log.firstError]).toEqual([150, 10]);
  const last = log.lines.blocks.at(-1);
  expect(last && log.lines.linesOf(last)?.at(-1)?.number).toBe(150);
  stop();
  expect(sender()).toBeUndefined();
});

test("a log without lines is empty, and shows the first ones when they arrive", async () => {
  const server = new LogServer(0);
  const { log, ready, sender } = open(server);
  await ready;
  expect(log.lineCount).toBe(0);
  const lines = server.write(3);
  sender()?.next({ lines, lineCount: 3, firstError: null, omitted: [] });
  expect(log.lines.blocks).toHaveLength(1);
});

test("the text of a log says where lines are missing", async () => {
  const server = new LogServer(10, [{ first: 4, last: 8 }]);
  const { log, ready } = open(server);
  await ready;
  const lines = (await textOf(log))?.join("").split("\n");
  expect(lines).toEqual([
    "line 1",
    "line 2",
    "line 3",
    "[5 lines are missing here]",
    "line 9",
    "line 10",
    "",
  ]);
  expect(await textOf(log, { most: 20 })).toBeNull();
  expect(await textOf(log, { isWanted: () => false })).toBeNull();
});

test("a long log is read in parts", async () => {
  const server = new LogServer(2_500);
  const { log, ready } = open(server, { filter: { stream: undefined, levels: ["ERROR"] } as never });
  await ready;
  const seen: number[] = [];
  const text = await textOf(log, { onProgress: (number) => seen.push(number) });
  expect(text?.join("").trim().split("\n")).toHaveLength(250);
  expect(seen.at(-1)).toBe(2_500);
});
