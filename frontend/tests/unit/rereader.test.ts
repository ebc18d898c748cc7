import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Problem } from "../../src/live/errors";
import { Rereader } from "../../src/now/rereader";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("many requests are one read a second, and the last one is never lost", async () => {
  const found: (number | null)[] = [];
  let reads = 0;
  const reader = new Rereader(
    () => Promise.resolve(++reads),
    (data) => found.push(data),
  );
  for (let n = 0; n < 5; n += 1) reader.ask();
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual([1]);
  reader.ask();
  await vi.advanceTimersByTimeAsync(999);
  expect(found).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1);
  expect(found).toEqual([1, 2]);
});

test("a request during a read leads to another read", async () => {
  const reads: ((value: string) => void)[] = [];
  const found: (string | null)[] = [];
  const reader = new Rereader<string>(
    () => new Promise((resolve) => reads.push(resolve)),
    (data) => found.push(data),
  );
  reader.ask();
  await vi.advanceTimersByTimeAsync(0);
  reader.ask();
  reads[0]?.("old");
  await vi.advanceTimersByTimeAsync(10_000);
  reads[1]?.("new");
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual(["old", "new"]);
});

test("an error is reported, and nothing after the end", async () => {
  const problems: (Problem | null)[] = [];
  const reader = new Rereader(
    () => Promise.reject(new Error("gone")),
    (_, problem) => problems.push(problem),
  );
  reader.ask();
  await vi.advanceTimersByTimeAsync(0);
  expect(problems).toHaveLength(1);
  reader.ask();
  reader.stop();
  reader.ask();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(problems).toHaveLength(1);
});
