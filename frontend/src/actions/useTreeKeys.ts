import { useHotkeys } from "../ui/hotkeys";
import type { Lines } from "./useLines";

interface Options {
  lines: Lines;
  /** The index of the keyboard cursor; -1 for none. */
  at: number;
  onSelect: (name: string) => void;
  /** The element that holds the focus during keyboard navigation, so that each line is announced. */
  scroller: React.RefObject<HTMLElement | null>;
}

/** Keyboard navigation of the tree. */
export function useTreeKeys({ lines, at, onSelect, scroller }: Options): void {
  const { shown } = lines;
  const goTo = (index: number): void => {
    const line = shown[Math.max(0, Math.min(shown.length - 1, index))];
    if (line) lines.setCursor(line.node.key);
    scroller.current?.focus({ preventScroll: true });
  };
  const here = shown[at];
  const fold = (): void => {
    if (!here) return;
    if (here.isOpen) lines.toggle(here.node.key, false);
    else if (here.node.parent) lines.setCursor(here.node.parent.key);
  };
  const unfold = (): void => {
    if (!here?.node.children.length) return;
    if (here.isOpen) goTo(at + 1);
    else lines.toggle(here.node.key, true);
  };
  const open = (): void => {
    if (!here) return;
    if (here.node.action) onSelect(here.node.action.name);
    else lines.toggle(here.node.key, !here.isOpen);
  };
  useHotkeys([
    { keys: "j", what: "Next action", run: () => goTo(at + 1) },
    { keys: "k", what: "Previous action", run: () => goTo(at < 0 ? 0 : at - 1) },
    { keys: "ArrowDown", what: "Next action", run: () => goTo(at + 1) },
    { keys: "ArrowUp", what: "Previous action", run: () => goTo(at < 0 ? 0 : at - 1) },
    { keys: "ArrowRight", what: "Expand", run: unfold },
    { keys: "ArrowLeft", what: "Collapse, or go to the parent", run: fold },
    { keys: "Enter", what: "Open the action", run: open },
  ]);
}
