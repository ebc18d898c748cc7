import classes from "./announce.module.css";
import { Value, useValue } from "./value";

/** How long an announcement stays, in milliseconds. */
const DISPLAY_MS = 6_000;

const message = new Value<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Announces a result in a corner of the page. */
export function announce(text: string): void {
  clearTimeout(timer);
  message.set(text);
  timer = setTimeout(() => message.set(null), DISPLAY_MS);
}

/** The live region for announcements. */
export function Announcements() {
  const text = useValue(message);
  return (
    <div className={classes.corner} role="status" aria-live="polite">
      {text ? <p className={classes.message}>{text}</p> : null}
    </div>
  );
}
