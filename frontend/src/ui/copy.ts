import { announce } from "./announce";

/** Copy text to the clipboard and announce the result. `what` names it, such as "run name". */
export async function copyText(text: string, what: string): Promise<boolean> {
  const copied = (await copyByApi(text)) || copyBySelection(text);
  announce(copied ? `Copied the ${what}` : `The browser refused to copy the ${what}`);
  return copied;
}

/** The browser offers this API to pages on https and localhost only. */
async function copyByApi(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Copies on plain http too, by the command that a key press would give. */
function copyBySelection(text: string): boolean {
  const write = (event: ClipboardEvent): void => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData("text/plain", text);
  };
  // Some browsers copy only where something is selected. Inside an open dialog, which keeps the focus.
  const focused = document.activeElement as HTMLElement | null;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.className = "only-read";
  (focused?.closest("[role=dialog]") ?? document.body).append(field);
  field.select();
  document.addEventListener("copy", write, true);
  try {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way on plain http
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    document.removeEventListener("copy", write, true);
    field.remove();
    focused?.focus();
  }
}
