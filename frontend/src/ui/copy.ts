import { announce } from "./announce";

/** Copy text to the clipboard and announce the result. `what` names it, such as "run name". */
export async function copyText(text: string, what: string): Promise<boolean> {
  const copied = (await copyByApi(text)) || copyBySelection(text);
  announce(copied ? `Copied the ${what}` : `The browser refused to copy the ${what}`);
  return copied;
}

/** Available only on https and localhost. */
async function copyByApi(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Works on plain http too, by execCommand. */
function copyBySelection(text: string): boolean {
  const write = (event: ClipboardEvent): void => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData("text/plain", text);
  };
  // Some browsers copy only a selection. Placed inside an open dialog, which traps the focus.
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
