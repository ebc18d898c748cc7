import classes from "./CutMiddle.module.css";

/** Characters at the end of a name that are always there: names of many differ only in these. */
const TAIL = 10;

/** A name that is cut in the middle where there is too little room for it. */
export function CutMiddle({ text }: { text: string }) {
  if (text.length <= 2 * TAIL) {
    return (
      <span className="cut" title={text}>
        {text}
      </span>
    );
  }
  return (
    <span className={classes.whole} title={text}>
      <span className="cut">{text.slice(0, -TAIL)}</span>
      <span className={classes.tail}>{text.slice(-TAIL)}</span>
    </span>
  );
}
