import { useEffect, useRef } from "react";
import { Value, useValue } from "./value";

/** A key, or several after another, that does something on this page. */
export interface Hotkey {
  /** As `KeyboardEvent.key`, several after another with a blank between: `g r`. */
  keys: string;
  what: string;
  run: (event: KeyboardEvent) => void;
  /** Also while somebody types into a field. */
  inFields?: boolean;
}

/** Whether keys are called as on a Mac. */
const isApple = typeof navigator !== "undefined" && /^(Mac|iP)/.test(navigator.platform);

/** What keys are called that are not called by what they type. */
const KEY_NAMES: Record<string, string> = {
  Escape: "Esc",
  Enter: "↵",
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
};

/** The keys of a hotkey, as they are called on this machine: `Ctrl K`, `g then r`. */
export function describeKeys(keys: string): string {
  if (keys.startsWith("mod+")) return `${isApple ? "⌘" : "Ctrl "}${keys.slice(4).toUpperCase()}`;
  return KEY_NAMES[keys] ?? keys.replace(" ", " then ");
}

/** Milliseconds that the next key of several may take. */
const SEQUENCE_WITHIN = 1_200;

/** The keys that do something at the moment, those that were added last first. */
export const hotkeys = new Value<readonly Hotkey[]>([]);
let typed: { key: string; at: number }[] = [];

/** Listen to these keys as long as the component is there. */
export function useHotkeys(keys: readonly Hotkey[]): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  const names = keys.map(({ keys, what }) => `${keys}\t${what}`).join("\n");
  useEffect(() => {
    const mine = latest.current.map(({ keys, what, inFields = false }, index) => ({
      keys,
      what,
      inFields,
      run: (event: KeyboardEvent) => latest.current[index]?.run(event),
    }));
    hotkeys.set([...mine, ...hotkeys.get()]);
    return () => hotkeys.set(hotkeys.get().filter((key) => !mine.includes(key as (typeof mine)[number])));
  }, [names]);
}

export function useAllHotkeys(): readonly Hotkey[] {
  return useValue(hotkeys);
}

function isField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest("input, textarea, select, [contenteditable=true]");
}

/** Enter on a link or a button that has the focus is for that one. */
function isPressed(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest("a, button, summary");
}

/** A dialog or an open menu has the keyboard for itself. */
function isCovered(): boolean {
  return !!document.querySelector("[role=dialog][aria-modal=true], [role=menu], [role=listbox]");
}

/** What a key press does; returns whether it did anything. */
export function press(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.altKey || event.isComposing) return false;
  const withMod = event.metaKey || event.ctrlKey;
  const now = Date.now();
  typed = [...typed.filter(({ at }) => now - at < SEQUENCE_WITHIN), { key: event.key, at: now }].slice(-2);
  const inField = isField(event.target);
  if (event.key === "Enter" && isPressed(event.target)) return false;
  const fits = ({ keys, inFields = false }: Hotkey): boolean => {
    if (!inFields && (inField || isCovered())) return false;
    if (keys.startsWith("mod+")) return withMod && event.key.toLowerCase() === keys.slice(4);
    const last = typed.slice(-keys.split(" ").length).map(({ key }) => key);
    return !withMod && last.join(" ") === keys;
  };
  // `g t` before `t`; of two that are alike the one that was added last.
  const found = hotkeys.get().filter(fits);
  const hotkey = found.find(({ keys }) => keys.includes(" ")) ?? found[0];
  // What is typed into a field, or with Ctrl, begins nothing.
  if (hotkey || inField || withMod) typed = [];
  if (!hotkey) return false;
  event.preventDefault();
  hotkey.run(event);
  return true;
}

if (typeof window !== "undefined") window.addEventListener("keydown", press);
