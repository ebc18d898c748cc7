import classes from "./announce.module.css";
import { Value, useValue } from "./value";

/** Milliseconds that an announcement stays. */
const STAYS = 6_000;

const said = new Value<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Tell in a corner of the page what came of something. */
export function announce(text: string): void {
  clearTimeout(timer);
  said.set(text);
  timer = setTimeout(() => said.set(null), STAYS);
}

/** The corner where announcements are shown and read out. */
export function Announcements() {
  const text = useValue(said);
  return (
    <div className={classes.corner} role="status" aria-live="polite">
      {text ? <p className={classes.said}>{text}</p> : null}
    </div>
  );
}
