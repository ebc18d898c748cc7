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

/** Press a key; returns whether the browser still does what it would. */
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
  // What was typed before counts no more in the next test.
  vi.advanceTimersByTime(10_000);
  press("Shift");
  vi.useRealTimers();
});

describe("single keys", () => {
  test("a key does what it says, in place of what the browser would do", () => {
    listen(key("j"));
    expect(press("j")).toBe(false);
    expect(done).toEqual(["j"]);
    expect(press("x")).toBe(true);
    expect(done).toEqual(["j"]);
  });

  test("whoever hands a key on is told whether it did anything", () => {
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

  test("of two that are alike the one that was added last counts, as long as it is there", () => {
    listen(key("j", { run: () => done.push("page") }));
    const { unmount } = listen(key("j", { run: () => done.push("panel") }));
    press("j");
    unmount();
    press("j");
    expect(done).toEqual(["panel", "page"]);
  });

  test("it is always the newest function that runs, without listening anew", () => {
    const { rerender } = listen(key("j", { run: () => done.push("old") }));
    const before = hotkeys.get();
    rerender([key("j", { run: () => done.push("new") })]);
    expect(hotkeys.get()).toBe(before);
    press("j");
    expect(done).toEqual(["new"]);
  });

  test("when a component is gone so are its keys", () => {
    listen(key("j")).unmount();
    expect(press("j")).toBe(true);
    expect(hotkeys.get()).toEqual([]);
  });

  test.each([{ altKey: true }, { ctrlKey: true }, { metaKey: true }, { isComposing: true }])(
    "with %j it is another key",
    (init) => {
      listen(key("j"));
      expect(press("j", init)).toBe(true);
      expect(done).toEqual([]);
    },
  );

  test("a key that somebody else has dealt with does nothing more", () => {
    listen(key("j"));
    const element = add("<div></div>");
    element.addEventListener("keydown", (event) => event.preventDefault());
    press("j", {}, element);
    expect(done).toEqual([]);
  });

  test("a sign that needs Shift is that sign", () => {
    listen(key("?"));
    press("Shift", { shiftKey: true });
    press("?", { shiftKey: true });
    expect(done).toEqual(["?"]);
  });
});

describe("several keys after another", () => {
  test("they do what they say when all were pressed", () => {
    listen(key("g r"), key("g t"));
    expect(press("g")).toBe(true);
    expect(done).toEqual([]);
    expect(press("r")).toBe(false);
    expect(done).toEqual(["g r"]);
  });

  test("they come before a single key that is the last of them", () => {
    listen(key("g t"));
    listen(key("t"));
    press("g");
    press("t");
    press("t");
    expect(done).toEqual(["g t", "t"]);
  });

  test("the first one pressed twice is no matter", () => {
    listen(key("g r"));
    for (const name of ["g", "g", "r"]) press(name);
    expect(done).toEqual(["g r"]);
  });

  test("another key between them, or another order, is something else", () => {
    listen(key("g r"));
    for (const name of ["g", "x", "r", "g"]) press(name);
    expect(done).toEqual([]);
  });

  test("the second one must come soon", () => {
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

  test("what they did is not done again by the last of them", () => {
    listen(key("g r"), key("r r"));
    for (const name of ["g", "r", "r"]) press(name);
    expect(done).toEqual(["g r"]);
  });

  test("a key that was typed into a field, or with Ctrl, is none of them", () => {
    listen(key("g r"));
    const field = add("<input>");
    press("g", {}, field);
    press("r");
    press("g", { ctrlKey: true });
    press("r");
    expect(done).toEqual([]);
  });
});

describe("where somebody types", () => {
  test.each(["<input>", "<textarea></textarea>", "<select></select>", '<p contenteditable="true"></p>'])(
    "in %s keys are text",
    (html) => {
      listen(key("j"));
      expect(press("j", {}, add(html))).toBe(true);
      expect(done).toEqual([]);
    },
  );

  test("a key that is meant for fields works there, with Ctrl as with Cmd, in either case", () => {
    listen(key("mod+k", { inFields: true }));
    const field = add("<input>");
    expect(press("k", { ctrlKey: true }, field)).toBe(false);
    press("K", { metaKey: true, shiftKey: true }, field);
    press("k", {}, field);
    expect(done).toEqual(["mod+k", "mod+k"]);
  });

  test("a plain key that is meant for fields works there, too", () => {
    listen(key("Escape", { inFields: true }));
    press("Escape", {}, add("<input>"));
    expect(done).toEqual(["Escape"]);
  });

  test("Enter on a button or a link is that one's, on anything else the page's", () => {
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

describe("under a dialog", () => {
  test.each([
    '<div role="dialog" aria-modal="true"></div>',
    '<div role="menu"></div>',
    '<ul role="listbox"></ul>',
  ])("%s has the keyboard for itself", (html) => {
    listen(key("j"), key("mod+k", { inFields: true }));
    add(html);
    expect(press("j")).toBe(true);
    press("k", { ctrlKey: true });
    expect(done).toEqual(["mod+k"]);
  });

  test("a dialog beside which the page can be used leaves it the keyboard", () => {
    listen(key("j"));
    add('<div role="dialog"></div>');
    press("j");
    expect(done).toEqual(["j"]);
  });
});
