import { Value } from "../ui/value";

/** Whether the command palette is open. Its code is loaded when it is opened for the first time. */
export const isPaletteOpen = new Value(false);
/** What is typed into the palette. */
export const paletteQuery = new Value("");

export const openPalette = (): void => isPaletteOpen.set(true);

/** Keys typed before the palette's field has the focus go into it too. */
function pressEarly(event: KeyboardEvent): void {
  if (!isPaletteOpen.get() || (event.target as HTMLElement).closest("[role=dialog]")) return;
  const isCharacter = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (!isCharacter && event.key !== "Backspace") return;
  event.preventDefault();
  event.stopPropagation();
  const typed = paletteQuery.get();
  paletteQuery.set(isCharacter ? typed + event.key : typed.slice(0, -1));
}

// Captured before other key listeners.
window.addEventListener("keydown", pressEarly, { capture: true });
