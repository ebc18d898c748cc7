/** What is open above the page until somebody clicks beside it, and the buttons that it belongs to. */
const SHOWN = ".mantine-Popover-dropdown, .mantine-Menu-dropdown";
const OPENERS = "[aria-haspopup][aria-expanded=true]";

let isDismissal = false;

function down({ target }: PointerEvent): void {
  const element = target instanceof Element ? target : null;
  isDismissal = !!document.querySelector(OPENERS) && !element?.closest(`${SHOWN}, ${OPENERS}`);
}

function click(event: MouseEvent): void {
  // Keys and programs click without a pointer that went down.
  if (!isDismissal || event.detail === 0) return;
  isDismissal = false;
  event.preventDefault();
  event.stopPropagation();
}

/** From now on, a click beside an open menu or popover closes it, and does nothing to what lies there. */
export function swallowDismissals(): void {
  window.addEventListener("pointerdown", down, { capture: true });
  window.addEventListener("click", click, { capture: true });
  window.addEventListener("auxclick", click, { capture: true });
}
