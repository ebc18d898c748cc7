import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Batch } from "../../src/live/batch";

describe("notifications of a batch", () => {
  let batch: Batch;
  let notified: string[];
  let scheduled: (() => void)[];

  beforeEach(() => {
    notified = [];
    scheduled = [];
    batch = new Batch((flush) => scheduled.push(flush));
  });

  const listener = (name: string) => () => notified.push(name);
  const flush = (): void => {
    for (const run of scheduled.splice(0)) run();
  };

  test("many changes of one key are one notification, at the next flush", () => {
    batch.listen("a", listener("a"));
    for (let at = 0; at < 100; at += 1) batch.touch("a");
    expect(notified).toEqual([]);
    expect(scheduled).toHaveLength(1);
    flush();
    expect(notified).toEqual(["a"]);
  });

  test("all listeners of a key are notified, and no others", () => {
    batch.listen("a", listener("a1"));
    batch.listen("a", listener("a2"));
    batch.listen("b", listener("b"));
    batch.listenToAll(listener("all"));
    batch.touch("a");
    flush();
    expect(notified).toEqual(["a1", "a2"]);
  });

  test("changes of the whole are reported to its listeners", () => {
    batch.listen("a", listener("a"));
    batch.listenToAll(listener("all"));
    batch.touchAll();
    batch.touchAll();
    flush();
    expect(notified).toEqual(["all"]);
    batch.touch("a");
    flush();
    expect(notified).toEqual(["all", "a"]);
  });

  test("a key without listeners costs nothing", () => {
    batch.touch("nobody");
    batch.listen("a", listener("a"))();
    batch.touch("a");
    expect(scheduled).toEqual([]);
  });

  test("a removed listener is not called, others of the same key are", () => {
    const stop = batch.listen("a", listener("a1"));
    batch.listen("a", listener("a2"));
    const stopAll = batch.listenToAll(listener("all"));
    stop();
    stopAll();
    batch.touch("a");
    batch.touchAll();
    flush();
    expect(notified).toEqual(["a2"]);
  });

  test("removing a listener twice does not affect later ones", () => {
    const stop = batch.listen("a", listener("old"));
    stop();
    batch.listen("a", listener("new"));
    stop();
    batch.touch("a");
    flush();
    expect(notified).toEqual(["new"]);
  });

  test("a change made by a listener is reported at the next flush", () => {
    batch.listen("b", listener("b"));
    batch.listen("a", () => batch.touch("b"));
    batch.touch("a");
    flush();
    expect(notified).toEqual([]);
    expect(scheduled).toHaveLength(1);
    flush();
    expect(notified).toEqual(["b"]);
  });
});

describe("timing of a batch", () => {
  let frames: (() => void)[];
  const listener = vi.fn();

  beforeEach(() => {
    vi.useFakeTimers();
    frames = [];
    listener.mockClear();
    vi.stubGlobal("requestAnimationFrame", (run: () => void) => frames.push(run));
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  function changed(): Batch {
    const batch = new Batch();
    batch.listenToAll(listener);
    batch.touchAll();
    return batch;
  }

  test("it flushes before the next frame, and the timer does not repeat it", () => {
    changed();
    expect(listener).not.toHaveBeenCalled();
    frames.shift()?.();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(5_000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test("in a hidden page it flushes after a second, and a late frame does not repeat it", () => {
    const batch = changed();
    vi.advanceTimersByTime(999);
    expect(listener).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(listener).toHaveBeenCalledTimes(1);
    batch.touchAll();
    frames.shift()?.();
    expect(listener).toHaveBeenCalledTimes(1);
  });
});
