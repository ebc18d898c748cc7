// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Preference, usePreference } from "../../src/ui/preferences";

const KEY = "test.columns";
const isList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const FALLBACK: string[] = [];
const make = (): Preference<string[]> => new Preference<string[]>(KEY, FALLBACK, isList);

/** As a browser says it in all windows but the one that wrote. */
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

describe("what is remembered", () => {
  test("it is there again after the page was loaded anew", () => {
    make().set(["phase"]);
    expect(make().get()).toEqual(["phase"]);
  });

  test("it is what it should be where nothing was ever set", () => {
    expect(make().get()).toBe(FALLBACK);
  });

  test.each(["{", "undefined", "7", '{"a":1}', "[1]", "null", ""])(
    "%j in its place counts as nothing",
    (text) => {
      localStorage.setItem(KEY, text);
      expect(make().get()).toBe(FALLBACK);
    },
  );

  test("it is the same object as long as nobody changes it", () => {
    const preference = make();
    preference.set(["phase"]);
    expect(preference.get()).toBe(preference.get());
  });

  test("where nothing can be stored it holds until the page is left", () => {
    vi.stubGlobal("localStorage", {
      getItem: () => '["before"]',
      setItem: () => {
        throw new DOMException("full", "QuotaExceededError");
      },
    });
    const preference = make();
    const heard = vi.fn();
    preference.listen(heard);
    preference.set(["phase"]);
    expect(preference.get()).toEqual(["phase"]);
    expect(heard).toHaveBeenCalledTimes(1);
    expect(make().get()).toEqual(["before"]);
  });

  test("where the storage is forbidden altogether it works all the same", () => {
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

describe("who listens", () => {
  test("a component shows what is set, here and in another window", () => {
    const preference = make();
    const { result } = renderHook(() => usePreference(preference));
    act(() => preference.set(["phase"]));
    expect(result.current).toEqual(["phase"]);
    act(() => elsewhere('["name"]'));
    expect(result.current).toEqual(["name"]);
    act(() => elsewhere(null, null));
    expect(result.current).toBe(FALLBACK);
  });

  test("broken text from another window counts as nothing", () => {
    const preference = make();
    const { result } = renderHook(() => usePreference(preference));
    act(() => preference.set(["phase"]));
    act(() => elsewhere("{"));
    expect(result.current).toBe(FALLBACK);
  });

  test("what another window says of another setting is not heard, nor anything after one stopped", () => {
    const preference = make();
    const heard = vi.fn();
    const stop = preference.listen(heard);
    elsewhere('["a"]', "another");
    expect(heard).not.toHaveBeenCalled();
    elsewhere('["b"]');
    expect(heard).toHaveBeenCalledTimes(1);
    stop();
    elsewhere('["c"]');
    preference.set(["d"]);
    expect(heard).toHaveBeenCalledTimes(1);
  });
});
