import { formatNumber, percentOf } from "./numbers";
import classes from "./ProgressBar.module.css";

interface Props {
  done: number;
  total?: number | null | undefined;
  message?: string | null | undefined;
  hasEnded: boolean;
  /** Percent and message in one line, for a row. */
  small?: boolean;
}

/** How much is done: of a whole, or without one; a bar of an unknown whole only while it moves. */
export function ProgressBar({ done, total, message, hasEnded, small = false }: Props) {
  const percent = percentOf(done, total);
  const count =
    total == null ? `${formatNumber(done)} done` : `${formatNumber(done)} of ${formatNumber(total)}`;
  const text = percent === null ? count : small ? `${percent} %` : `${count} · ${percent} %`;
  return (
    <span
      className={small ? classes.small : classes.progress}
      title={message ? `${count}: ${message}` : count}
      data-progress
    >
      {percent === null && hasEnded ? null : (
        <span
          className={classes.track}
          role="progressbar"
          aria-label="Progress"
          aria-valuenow={percent ?? undefined}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuetext={count}
        >
          <span
            className={percent === null ? classes.moving : classes.done}
            style={{ width: percent === null ? undefined : `${percent}%` }}
          />
        </span>
      )}
      <span className={classes.text}>
        <span className="number nowrap">{text}</span>
        {message ? <span className={classes.message}>{message}</span> : null}
      </span>
    </span>
  );
}
