// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Preference, usePreference } from "../../src/ui/preferences";

const KEY = "test.columns";
const isList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const FALLBACK: string[] = [];
const make = (): Preference<string[]> => new Preference<string[]>(KEY, FALLBACK, isList);

/** As the browser notifies all other windows. */
function elsewhere(text: string | null, key: string | null = KEY): void {
  if (text === null) localStorage.clear();
  else localStorage.setItem(KEY, text);
  window.dispatchEvent(Object.assign(new Event("storage"), { key }));
}

beforeEach(() => localStorage.clear());

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("stored preferences", () => {
  test("it survives a reload", () => {
    make().set(["phase"]);
    expect(make().get()).toEqual(["phase"]);
  });

  test("it has a default", () => {
    expect(make().get()).toBe(FALLBACK);
  });

  test.each(["{", "undefined", "7", '{"a":1}', "[1]", "null", ""])(
    "%j in storage counts as unset",
    (text) => {
      localStorage.setItem(KEY, text);
      expect(make().get()).toBe(FALLBACK);
    },
  );

  test("it is referentially stable until changed", () => {
    const preference = make();
    preference.set(["phase"]);
    expect(preference.get()).toBe(preference.get());
  });

  test("without storage it is kept until the page is closed", () => {
    vi.stubGlobal("localStorage", {
      getItem: () => '["before"]',
      setItem: () => {
        throw new DOMException("full", "QuotaExceededError");
      },
    });
    const preference = make();
    const notified = vi.fn();
    preference.listen(notified);
    preference.set(["phase"]);
    expect(preference.get()).toEqual(["phase"]);
    expect(notified).toHaveBeenCalledTimes(1);
    expect(make().get()).toEqual(["before"]);
  });

  test("with forbidden storage it still works", () => {
    const forbidden = (): never => {
      throw new DOMException("no", "SecurityError");
    };
    vi.stubGlobal("localStorage", { getItem: forbidden, setItem: forbidden });
    const preference = make();
    expect(preference.get()).toBe(FALLBACK);
    preference.set(["phase"]);
    expect(preference.get()).toEqual(["phase"]);
  });
});

describe("listeners", () => {
  test("a component shows changes from this and other windows", () => {
    const preference = make();
    const { result } = renderHook(() => usePreference(preference));
    act(() => preference.set(["phase"]));
    expect(result.current).toEqual(["phase"]);
    act(() => elsewhere('["name"]'));
    expect(result.current).toEqual(["name"]);
    act(() => elsewhere(null, null));
    expect(result.current).toBe(FALLBACK);
  });

  test("invalid text from another window counts as unset", () => {
    const preference = make();
    const { result } = renderHook(() => usePreference(preference));
    act(() => preference.set(["phase"]));
    act(() => elsewhere("{"));
    expect(result.current).toBe(FALLBACK);
  });

  test("changes of other settings, and changes after unsubscribing, are ignored", () => {
    const preference = make();
    const notified = vi.fn();
    const stop = preference.listen(notified);
    elsewhere('["a"]', "another");
    expect(notified).not.toHaveBeenCalled();
    elsewhere('["b"]');
    expect(notified).toHaveBeenCalledTimes(1);
    stop();
    elsewhere('["c"]');
    preference.set(["d"]);
    expect(notified).toHaveBeenCalledTimes(1);
  });
});
