import classes from "./announce.module.css";
import { Value, useValue } from "./value";

/** How long an announcement stays, in milliseconds. */
const STAYS = 6_000;

const said = new Value<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Announces a result in a corner of the page. */
export function announce(text: string): void {
  clearTimeout(timer);
  said.set(text);
  timer = setTimeout(() => said.set(null), STAYS);
}

/** The live region for announcements. */
export function Announcements() {
  const text = useValue(said);
  return (
    <div className={classes.corner} role="status" aria-live="polite">
      {text ? <p className={classes.said}>{text}</p> : null}
    </div>
  );
}
