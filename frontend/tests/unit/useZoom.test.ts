// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Span, moved, useZoom, zoomed } from "../../src/actions/useZoom";

const whole: Span = { from: 1_000, to: 2_000 };

describe("zoomed", () => {
  test("the focused time stays in place", () => {
    expect(zoomed(whole, whole, 1_250, 0.5)).toEqual({ from: 1_125, to: 1_625 });
  });

  test("it stays within the whole", () => {
    expect(zoomed(whole, whole, 1_000, 0.5)).toEqual({ from: 1_000, to: 1_500 });
    expect(zoomed({ from: 1_000, to: 1_400 }, whole, 1_400, 2)).toEqual({ from: 1_000, to: 1_800 });
    expect(zoomed({ from: 1_600, to: 2_000 }, whole, 1_600, 2)).toEqual({ from: 1_200, to: 2_000 });
  });

  test("zooming out far shows everything", () => {
    expect(zoomed({ from: 1_200, to: 1_700 }, whole, 1_500, 2)).toBeNull();
  });

  test("there is a minimum range", () => {
    const closest = zoomed({ from: 1_500, to: 1_530 }, whole, 1_515, 0.001);
    expect(closest).toEqual({ from: 1_505, to: 1_525 });
  });
});

describe("moved", () => {
  test("it stops at the end and keeps its width", () => {
    const span = { from: 1_200, to: 1_500 };
    expect(moved(span, whole, 100)).toEqual({ from: 1_300, to: 1_600 });
    expect(moved(span, whole, 900)).toEqual({ from: 1_700, to: 2_000 });
    expect(moved(span, whole, -900)).toEqual({ from: 1_000, to: 1_300 });
  });

  test("a range wider than the whole starts with it", () => {
    expect(moved({ from: 0, to: 5_000 }, whole, 0)).toEqual({ from: 1_000, to: 6_000 });
  });
});

describe("useZoom", () => {
  afterEach(cleanup);

  test("everything is shown and grows until the user zooms", () => {
    const { result, rerender } = renderHook((span: Span) => useZoom(span, undefined, () => undefined), {
      initialProps: whole,
    });
    expect(result.current).toMatchObject({ span: whole, isWhole: true });
    const grown = { from: 1_000, to: 3_000 };
    rerender(grown);
    expect(result.current.span).toEqual(grown);
    act(() => result.current.zoom(0.5));
    expect(result.current).toMatchObject({ span: { from: 1_500, to: 2_500 }, isWhole: false });
    rerender({ from: 1_000, to: 9_000 });
    expect(result.current.span).toEqual({ from: 1_500, to: 2_500 });
  });

  test("the part is read from the address, and written to it when it rests", async () => {
    vi.useFakeTimers();
    const written: (string | undefined)[] = [];
    const write = (address: string | undefined): void => void written.push(address);
    const { result, rerender } = renderHook((address: string | undefined) => useZoom(whole, address, write), {
      initialProps: "1200-1600",
    });
    expect(result.current.span).toEqual({ from: 1_200, to: 1_600 });
    act(() => result.current.zoom(0.5));
    act(() => result.current.zoom(0.5));
    expect(written).toEqual([]);
    await act(() => vi.advanceTimersByTimeAsync(1_000));
    expect(written).toEqual(["1350-1450"]);
    rerender("1350-1450");
    // Back.
    rerender(undefined);
    expect(result.current.isWhole).toBe(true);
    await act(() => vi.advanceTimersByTimeAsync(1_000));
    expect(written).toEqual(["1350-1450"]);
    vi.useRealTimers();
  });

  test("panning moves a part, and does nothing when everything is shown", () => {
    const { result } = renderHook(() => useZoom(whole, undefined, () => undefined));
    act(() => result.current.pan(100));
    expect(result.current.isWhole).toBe(true);
    act(() => result.current.zoom(0.5, 1_000));
    act(() => result.current.pan(100));
    expect(result.current.span).toEqual({ from: 1_100, to: 1_600 });
    act(() => result.current.reset());
    expect(result.current).toMatchObject({ span: whole, isWhole: true });
  });
});
