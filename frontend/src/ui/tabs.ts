/** Whether a click asks for a new tab, as on a link: by the middle button, or with Ctrl or ⌘. */
export function wantsTab({ button, ctrlKey, metaKey }: React.MouseEvent): boolean {
  return button === 1 || (button === 0 && (ctrlKey || metaKey));
}

export function openTab(address: string): void {
  window.open(address, "_blank", "noopener");
}

/** Keeps the middle button from scrolling, so that it opens a tab. */
export function keepFromScrolling(event: React.MouseEvent): void {
  if (event.button === 1) event.preventDefault();
}
