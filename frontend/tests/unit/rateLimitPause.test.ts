import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RateLimitPause, retryAfter } from "../../src/live/rateLimitPause";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T12:00:00Z") });
});

afterEach(() => {
  vi.useRealTimers();
});

test("it waits as long as requested", async () => {
  const pause = new RateLimitPause();
  pause.start(3);
  let isOver = false;
  void pause.wait().then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(2_999);
  expect([isOver, pause.remaining]).toEqual([false, 1]);
  await vi.advanceTimersByTimeAsync(1);
  expect([isOver, pause.remaining, pause.until.get()]).toEqual([true, 0, 0]);
});

test("a longer pause extends it, a shorter one does not", async () => {
  const pause = new RateLimitPause();
  pause.start(3);
  pause.start(1);
  expect(pause.remaining).toBe(3_000);
  pause.start(5);
  await vi.advanceTimersByTimeAsync(3_000);
  expect([pause.remaining, pause.until.get()]).toEqual([2_000, Date.now() + 2_000]);
});

test.each([
  ["7", 7],
  ["0", 1],
  ["Thu, 01 Jan 2026 12:00:30 GMT", 30],
  ["Thu, 01 Jan 2026 11:00:00 GMT", 1],
  ["soon", 5],
  [null, 5],
])("Retry-After: %s requests %i seconds", (header, seconds) => {
  expect(retryAfter(new Headers(header === null ? {} : { "Retry-After": header }))).toBe(seconds);
});
