// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SearchField } from "../../src/ui/SearchField";

const onChange = vi.fn<(value: string) => void>();
let show: (value: string, report?: (value: string) => void) => void;

const field = (): HTMLInputElement => screen.getByRole("searchbox", { name: "Search runs" });
const type = (value: string): void => {
  fireEvent.change(field(), { target: { value } });
};
const pass = (ms: number): void => {
  act(() => {
    vi.advanceTimersByTime(ms);
  });
};

beforeEach(() => {
  vi.useFakeTimers();
  onChange.mockClear();
  const element = (value: string, report: (value: string) => void = onChange) => (
    <SearchField label="Search runs" placeholder="Name" value={value} onChange={report} />
  );
  const { rerender } = render(element("first"));
  show = (value, report) => rerender(element(value, report));
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

test("typed text is reported after a pause, and only the last text", () => {
  type("firs");
  pass(150);
  type("fir");
  pass(199);
  expect(onChange).not.toHaveBeenCalled();
  pass(1);
  expect(onChange.mock.calls).toEqual([["fir"]]);
});

test("the newest callback is called", () => {
  const newest = vi.fn<(value: string) => void>();
  type("second");
  show("first", newest);
  pass(200);
  expect(newest.mock.calls).toEqual([["second"]]);
  expect(onChange).not.toHaveBeenCalled();
});

test("surrounding blanks are not reported but stay in the field", () => {
  type(" first ");
  pass(1_000);
  expect(onChange).not.toHaveBeenCalled();
  type(" second ");
  pass(200);
  expect(onChange.mock.calls).toEqual([["second"]]);
  show("second");
  expect(field().value).toBe(" second ");
});

test("typing and deleting reports nothing", () => {
  type("firstly");
  type("first");
  pass(1_000);
  expect(onChange).not.toHaveBeenCalled();
});

test("an external change is shown and not reported back", () => {
  show("by a link");
  expect(field().value).toBe("by a link");
  show("");
  expect(field().value).toBe("");
  pass(1_000);
  expect(onChange).not.toHaveBeenCalled();
});

test("an external change replaces the typed text", () => {
  type("typing");
  show("by a link");
  pass(1_000);
  expect(field().value).toBe("by a link");
  expect(onChange).not.toHaveBeenCalled();
});

test("typing while an earlier text is applied loses nothing", () => {
  type("second");
  pass(200);
  expect(onChange.mock.calls).toEqual([["second"]]);
  type("second th");
  show("second");
  expect(field().value).toBe("second th");
  pass(200);
  expect(onChange.mock.calls).toEqual([["second"], ["second th"]]);
});

test("going back to an earlier text shows it", () => {
  type("second");
  pass(200);
  show("second");
  show("first");
  expect(field().value).toBe("first");
  show("second");
  expect(field().value).toBe("second");
  pass(1_000);
  expect(onChange.mock.calls).toEqual([["second"]]);
});

test("slash focuses it; Escape clears it first, then leaves it", () => {
  fireEvent.keyDown(document.body, { key: "/" });
  expect(document.activeElement).toBe(field());
  fireEvent.keyDown(field(), { key: "ArrowLeft" });
  expect(field().value).toBe("first");
  fireEvent.keyDown(field(), { key: "Escape" });
  expect(field().value).toBe("");
  expect(document.activeElement).toBe(field());
  fireEvent.keyDown(field(), { key: "Escape" });
  expect(document.activeElement).not.toBe(field());
  pass(200);
  expect(onChange.mock.calls).toEqual([[""]]);
});
