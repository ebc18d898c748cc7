import { useEffect, useRef } from "react";
import { Value, useValue } from "./value";

/** A keyboard shortcut: one key or a sequence. */
export interface Hotkey {
  /** As `KeyboardEvent.key`; a sequence is separated by blanks: `g r`. */
  keys: string;
  what: string;
  run: (event: KeyboardEvent) => void;
  /** Also active while typing in a field. */
  inFields?: boolean;
}

/** Whether to use the names of Mac keys. */
const isApple = typeof navigator !== "undefined" && /^(Mac|iP)/.test(navigator.platform);

/** The names of keys that are not named by their character. */
const KEY_NAMES: Record<string, string> = {
  Escape: "Esc",
  Enter: "↵",
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
};

/** The display form of a shortcut on this platform: `Ctrl K`, `g then r`. */
export function describeKeys(keys: string): string {
  if (keys.startsWith("mod+")) return `${isApple ? "⌘" : "Ctrl "}${keys.slice(4).toUpperCase()}`;
  return KEY_NAMES[keys] ?? keys.replace(" ", " then ");
}

/** The timeout between the keys of a sequence, in milliseconds. */
const SEQUENCE_WITHIN = 1_200;

/** The active shortcuts, most recently added first. */
export const hotkeys = new Value<readonly Hotkey[]>([]);
let typed: { key: string; at: number }[] = [];

/** Registers these shortcuts while the component is mounted. */
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

/** Whether keys go into a field. The checkbox of a row is none: `x` ticks it too. */
function isField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest("input:not([data-row]), textarea, select, [contenteditable=true]");
}

/** Enter on a focused link or button activates it. */
function isPressed(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest("a, button, summary");
}

/** A dialog or an open menu captures the keyboard. */
function isCovered(): boolean {
  return !!document.querySelector("[role=dialog][aria-modal=true], [role=menu], [role=listbox]");
}

/** Handles a key press; returns whether a shortcut ran. */
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
  // `g t` before `t`; of duplicates the one added last.
  const found = hotkeys.get().filter(fits);
  const hotkey = found.find(({ keys }) => keys.includes(" ")) ?? found[0];
  // Typing in a field, or with Ctrl, starts no sequence.
  if (hotkey || inField || withMod) typed = [];
  if (!hotkey) return false;
  event.preventDefault();
  hotkey.run(event);
  return true;
}

if (typeof window !== "undefined") window.addEventListener("keydown", press);
