import { useApi } from "../live/api";
import { useNow } from "../ui/clock";
import { formatDuration } from "../ui/durations";
import { useValue } from "../ui/value";
import classes from "./ConnectionNotice.module.css";

/** Milliseconds until the page reports a missing connection. */
const SHOW_AFTER = 2_500;

/** The connection state: live, or since when not. */
export function ConnectionNotice() {
  const { socket, session, pause } = useApi();
  const { state, since } = useValue(socket.connection);
  const isOver = useValue(session.isOver);
  const until = useValue(pause.until);
  const now = useNow(state !== "live" || until > 0);
  if (isOver) return null;
  if (until > now) {
    return (
      <span className={classes.lost} role="status" data-testid="pause">
        <span className={classes.notice}>
          Too many requests: the page continues in {formatDuration(Math.ceil((until - now) / 1_000) * 1_000)}
        </span>
      </span>
    );
  }
  const silent = now - since;
  const isLost = state === "lost" || (state === "connecting" && silent > SHOW_AFTER);
  if (!isLost) {
    return state === "live" ? (
      <span
        className={classes.live}
        title="Everything here is live"
        data-testid="connection"
        data-state="live"
      >
        <span className="only-read">Connected: </span>
        <span className={classes.dot} aria-hidden />
        live
      </span>
    ) : null;
  }
  return (
    <span className={classes.lost} role="status" data-testid="connection" data-state="lost">
      <span>
        Not live{silent > 1_000 ? ` for ${formatDuration(Math.floor(silent / 1_000) * 1_000)}` : ""}:
        connecting…
      </span>
      <button type="button" onClick={() => socket.retryNow()}>
        Reconnect now
      </button>
    </span>
  );
}
