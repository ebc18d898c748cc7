import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Batch } from "../../src/live/batch";

describe("what a batch tells", () => {
  let batch: Batch;
  let heard: string[];
  let scheduled: (() => void)[];

  beforeEach(() => {
    heard = [];
    scheduled = [];
    batch = new Batch((flush) => scheduled.push(flush));
  });

  const hear = (name: string) => () => heard.push(name);
  const flush = (): void => {
    for (const run of scheduled.splice(0)) run();
  };

  test("many changes of one key are told once, and only when it is time", () => {
    batch.listen("a", hear("a"));
    for (let at = 0; at < 100; at += 1) batch.touch("a");
    expect(heard).toEqual([]);
    expect(scheduled).toHaveLength(1);
    flush();
    expect(heard).toEqual(["a"]);
  });

  test("only those hear of a key who listen to it, and all who do", () => {
    batch.listen("a", hear("a1"));
    batch.listen("a", hear("a2"));
    batch.listen("b", hear("b"));
    batch.listenToAll(hear("all"));
    batch.touch("a");
    flush();
    expect(heard).toEqual(["a1", "a2"]);
  });

  test("what is about everything is told to those who listen to that", () => {
    batch.listen("a", hear("a"));
    batch.listenToAll(hear("all"));
    batch.touchAll();
    batch.touchAll();
    flush();
    expect(heard).toEqual(["all"]);
    batch.touch("a");
    flush();
    expect(heard).toEqual(["all", "a"]);
  });

  test("a key that nobody listens to costs nothing", () => {
    batch.touch("nobody");
    batch.listen("a", hear("a"))();
    batch.touch("a");
    expect(scheduled).toEqual([]);
  });

  test("who does not listen any more hears nothing, others of the same key still do", () => {
    const stop = batch.listen("a", hear("a1"));
    batch.listen("a", hear("a2"));
    const stopAll = batch.listenToAll(hear("all"));
    stop();
    stopAll();
    batch.touch("a");
    batch.touchAll();
    flush();
    expect(heard).toEqual(["a2"]);
  });

  test("to stop twice does no harm to who listens since then", () => {
    const stop = batch.listen("a", hear("old"));
    stop();
    batch.listen("a", hear("new"));
    stop();
    batch.touch("a");
    flush();
    expect(heard).toEqual(["new"]);
  });

  test("a change that a listener makes is told the next time", () => {
    batch.listen("b", hear("b"));
    batch.listen("a", () => batch.touch("b"));
    batch.touch("a");
    flush();
    expect(heard).toEqual([]);
    expect(scheduled).toHaveLength(1);
    flush();
    expect(heard).toEqual(["b"]);
  });
});

describe("when a batch tells it", () => {
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

  test("it is before the next drawing, and the timer then does not tell it again", () => {
    changed();
    expect(listener).not.toHaveBeenCalled();
    frames.shift()?.();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(5_000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test("on a page that is not drawn it is after a second, and a late drawing does not tell it again", () => {
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
