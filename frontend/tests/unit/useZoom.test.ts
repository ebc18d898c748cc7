// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, describe, expect, test } from "vitest";
import { type Span, moved, useZoom, zoomed } from "../../src/actions/useZoom";

const whole: Span = { from: 1_000, to: 2_000 };

describe("zoomed", () => {
  test("what is looked at stays where it is", () => {
    expect(zoomed(whole, whole, 1_250, 0.5)).toEqual({ from: 1_125, to: 1_625 });
  });

  test("it does not lead beyond what there is", () => {
    expect(zoomed(whole, whole, 1_000, 0.5)).toEqual({ from: 1_000, to: 1_500 });
    expect(zoomed({ from: 1_000, to: 1_400 }, whole, 1_400, 2)).toEqual({ from: 1_000, to: 1_800 });
    expect(zoomed({ from: 1_600, to: 2_000 }, whole, 1_600, 2)).toEqual({ from: 1_200, to: 2_000 });
  });

  test("from far enough away everything is shown", () => {
    expect(zoomed({ from: 1_200, to: 1_700 }, whole, 1_500, 2)).toBeNull();
  });

  test("there is a closest look", () => {
    const closest = zoomed({ from: 1_500, to: 1_530 }, whole, 1_515, 0.001);
    expect(closest).toEqual({ from: 1_505, to: 1_525 });
  });
});

describe("moved", () => {
  test("it goes as far as there is something, and stays as wide as it was", () => {
    const span = { from: 1_200, to: 1_500 };
    expect(moved(span, whole, 100)).toEqual({ from: 1_300, to: 1_600 });
    expect(moved(span, whole, 900)).toEqual({ from: 1_700, to: 2_000 });
    expect(moved(span, whole, -900)).toEqual({ from: 1_000, to: 1_300 });
  });

  test("a span wider than what there is begins where that begins", () => {
    expect(moved({ from: 0, to: 5_000 }, whole, 0)).toEqual({ from: 1_000, to: 6_000 });
  });
});

describe("useZoom", () => {
  afterEach(cleanup);

  test("everything is shown and grows until somebody looks closer, and then stays", () => {
    const { result, rerender } = renderHook((span: Span) => useZoom(span), { initialProps: whole });
    expect(result.current).toMatchObject({ span: whole, isWhole: true });
    const grown = { from: 1_000, to: 3_000 };
    rerender(grown);
    expect(result.current.span).toEqual(grown);
    act(() => result.current.zoom(0.5));
    expect(result.current).toMatchObject({ span: { from: 1_500, to: 2_500 }, isWhole: false });
    rerender({ from: 1_000, to: 9_000 });
    expect(result.current.span).toEqual({ from: 1_500, to: 2_500 });
  });

  test("panning moves a part, and does nothing where everything is shown", () => {
    const { result } = renderHook(() => useZoom(whole));
    act(() => result.current.pan(100));
    expect(result.current.isWhole).toBe(true);
    act(() => result.current.zoom(0.5, 1_000));
    act(() => result.current.pan(100));
    expect(result.current.span).toEqual({ from: 1_100, to: 1_600 });
    act(() => result.current.reset());
    expect(result.current).toMatchObject({ span: whole, isWhole: true });
  });
});
