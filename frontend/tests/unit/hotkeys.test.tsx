// @vitest-environment happy-dom
import { cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Hotkey, hotkeys, press as pressed, useHotkeys } from "../../src/ui/hotkeys";

let done: string[];

const key = (keys: string, rest: Partial<Hotkey> = {}): Hotkey => ({
  keys,
  what: keys,
  run: () => done.push(keys),
  ...rest,
});

const listen = (...keys: Hotkey[]) =>
  renderHook((props: Hotkey[]) => useHotkeys(props), { initialProps: keys });

/** Presses a key; returns whether the browser's default happens. */
function press(name: string, init: KeyboardEventInit = {}, target: Element = document.body): boolean {
  return target.dispatchEvent(
    new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...init }),
  );
}

function add(html: string): Element {
  document.body.innerHTML = html;
  const element = document.body.querySelector("[data-here]") ?? document.body.firstElementChild;
  if (!element) throw new Error("there is no such element");
  return element;
}

beforeEach(() => {
  vi.useFakeTimers();
  done = [];
});

afterEach(() => {
  cleanup();
  document.body.innerHTML = "";
  // Keys of a previous test do not count.
  vi.advanceTimersByTime(10_000);
  press("Shift");
  vi.useRealTimers();
});

describe("single keys", () => {
  test("a key runs its shortcut instead of the browser's default", () => {
    listen(key("j"));
    expect(press("j")).toBe(false);
    expect(done).toEqual(["j"]);
    expect(press("x")).toBe(true);
    expect(done).toEqual(["j"]);
  });

  test("the handler returns whether a shortcut ran", () => {
    const event = (name: string): KeyboardEvent => {
      const made = new KeyboardEvent("keydown", { key: name, cancelable: true });
      Object.defineProperty(made, "target", { value: add("<button></button>") });
      return made;
    };
    listen(key("j"), key("Enter"));
    expect(pressed(event("j"))).toBe(true);
    expect(pressed(event("x"))).toBe(false);
    expect(pressed(event("Enter"))).toBe(false);
    const dealtWith = event("j");
    dealtWith.preventDefault();
    expect(pressed(dealtWith)).toBe(false);
    expect(done).toEqual(["j"]);
  });

  test("of duplicates the last one added runs, while registered", () => {
    listen(key("j", { run: () => done.push("page") }));
    const { unmount } = listen(key("j", { run: () => done.push("panel") }));
    press("j");
    unmount();
    press("j");
    expect(done).toEqual(["panel", "page"]);
  });

  test("the newest callback runs without registering again", () => {
    const { rerender } = listen(key("j", { run: () => done.push("old") }));
    const before = hotkeys.get();
    rerender([key("j", { run: () => done.push("new") })]);
    expect(hotkeys.get()).toBe(before);
    press("j");
    expect(done).toEqual(["new"]);
  });

  test("unmounting removes the shortcuts", () => {
    listen(key("j")).unmount();
    expect(press("j")).toBe(true);
    expect(hotkeys.get()).toEqual([]);
  });

  test.each([{ altKey: true }, { ctrlKey: true }, { metaKey: true }, { isComposing: true }])(
    "with %j it is a different key",
    (init) => {
      listen(key("j"));
      expect(press("j", init)).toBe(true);
      expect(done).toEqual([]);
    },
  );

  test("a key handled elsewhere is ignored", () => {
    listen(key("j"));
    const element = add("<div></div>");
    element.addEventListener("keydown", (event) => event.preventDefault());
    press("j", {}, element);
    expect(done).toEqual([]);
  });

  test("a character typed with Shift is that character", () => {
    listen(key("?"));
    press("Shift", { shiftKey: true });
    press("?", { shiftKey: true });
    expect(done).toEqual(["?"]);
  });
});

describe("key sequences", () => {
  test("a sequence runs after its last key", () => {
    listen(key("g r"), key("g t"));
    expect(press("g")).toBe(true);
    expect(done).toEqual([]);
    expect(press("r")).toBe(false);
    expect(done).toEqual(["g r"]);
  });

  test("a sequence precedes a shortcut of its last key", () => {
    listen(key("g t"));
    listen(key("t"));
    press("g");
    press("t");
    press("t");
    expect(done).toEqual(["g t", "t"]);
  });

  test("pressing the first key twice still works", () => {
    listen(key("g r"));
    for (const name of ["g", "g", "r"]) press(name);
    expect(done).toEqual(["g r"]);
  });

  test("another key in between, or another order, does not run it", () => {
    listen(key("g r"));
    for (const name of ["g", "x", "r", "g"]) press(name);
    expect(done).toEqual([]);
  });

  test("the second key must follow in time", () => {
    listen(key("g r"));
    press("g");
    vi.advanceTimersByTime(1_199);
    press("r");
    expect(done).toEqual(["g r"]);
    press("g");
    vi.advanceTimersByTime(1_200);
    press("r");
    expect(done).toEqual(["g r"]);
  });

  test("the last key does not run the sequence again", () => {
    listen(key("g r"), key("r r"));
    for (const name of ["g", "r", "r"]) press(name);
    expect(done).toEqual(["g r"]);
  });

  test("a key typed into a field or with Ctrl starts no sequence", () => {
    listen(key("g r"));
    const field = add("<input>");
    press("g", {}, field);
    press("r");
    press("g", { ctrlKey: true });
    press("r");
    expect(done).toEqual([]);
  });
});

describe("typing", () => {
  test.each(["<input>", "<textarea></textarea>", "<select></select>", '<p contenteditable="true"></p>'])(
    "in %s, keys are text",
    (html) => {
      listen(key("j"));
      expect(press("j", {}, add(html))).toBe(true);
      expect(done).toEqual([]);
    },
  );

  test("a shortcut for fields works in them, with Ctrl or Cmd, in either case", () => {
    listen(key("mod+k", { inFields: true }));
    const field = add("<input>");
    expect(press("k", { ctrlKey: true }, field)).toBe(false);
    press("K", { metaKey: true, shiftKey: true }, field);
    press("k", {}, field);
    expect(done).toEqual(["mod+k", "mod+k"]);
  });

  test("a plain key for fields works in them too", () => {
    listen(key("Escape", { inFields: true }));
    press("Escape", {}, add("<input>"));
    expect(done).toEqual(["Escape"]);
  });

  test("Enter activates a focused button or link, otherwise the shortcut", () => {
    listen(key("Enter"));
    for (const html of ["<button></button>", '<a href="#x"></a>', "<summary></summary>"]) {
      expect(press("Enter", {}, add(html))).toBe(true);
    }
    expect(press("Enter", {}, add("<button><b data-here></b></button>"))).toBe(true);
    expect(done).toEqual([]);
    press("Enter", {}, add("<div></div>"));
    expect(done).toEqual(["Enter"]);
  });
});

describe("with a dialog", () => {
  test.each([
    '<div role="dialog" aria-modal="true"></div>',
    '<div role="menu"></div>',
    '<ul role="listbox"></ul>',
  ])("%s captures the keyboard", (html) => {
    listen(key("j"), key("mod+k", { inFields: true }));
    add(html);
    expect(press("j")).toBe(true);
    press("k", { ctrlKey: true });
    expect(done).toEqual(["mod+k"]);
  });

  test("a non-modal dialog does not block shortcuts", () => {
    listen(key("j"));
    add('<div role="dialog"></div>');
    press("j");
    expect(done).toEqual(["j"]);
  });
});
