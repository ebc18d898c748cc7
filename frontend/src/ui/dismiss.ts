/** Open menus and popovers, with the buttons that they belong to. */
const SHOWN = ".mantine-Popover-dropdown, .mantine-Menu-dropdown";
const OPENERS = "[aria-haspopup][aria-expanded=true]";

let isDismissal = false;

function down({ target }: PointerEvent): void {
  const element = target instanceof Element ? target : null;
  isDismissal = !!document.querySelector(OPENERS) && !element?.closest(`${SHOWN}, ${OPENERS}`);
}

function click(event: MouseEvent): void {
  // Clicks by keyboard or script have no pointerdown.
  if (!isDismissal || event.detail === 0) return;
  isDismissal = false;
  event.preventDefault();
  event.stopPropagation();
}

/** Makes a click outside an open menu or popover close it without any other effect. */
export function swallowDismissals(): void {
  window.addEventListener("pointerdown", down, { capture: true });
  window.addEventListener("click", click, { capture: true });
  window.addEventListener("auxclick", click, { capture: true });
}
