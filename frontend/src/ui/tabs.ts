/** Whether a click requests a new tab: middle button, Ctrl or ⌘. */
export function wantsTab({ button, ctrlKey, metaKey }: React.MouseEvent): boolean {
  return button === 1 || (button === 0 && (ctrlKey || metaKey));
}

export function openTab(address: string): void {
  window.open(address, "_blank", "noopener");
}

/** Prevents autoscroll, so that the middle button opens a tab. */
export function keepFromScrolling(event: React.MouseEvent): void {
  if (event.button === 1) event.preventDefault();
}
