import { useLocation } from "@tanstack/react-router";
import { useApi } from "../live/api";
import { loginAddress } from "../live/session";
import { useValue } from "../ui/value";
import classes from "./SignedOutNotice.module.css";

/** Says that the page is stale because the session ended, with a link to sign in. */
export function SignedOutNotice() {
  const { session, base } = useApi();
  const isOver = useValue(session.isOver);
  // Renders on navigation: the return URL is the current one.
  useLocation();
  if (!isOver) return null;
  return (
    <div className={classes.notice} role="alert">
      <span>
        <strong>You are signed out.</strong> This page shows old data and is no longer updated.
      </span>
      <a className={classes.way} href={loginAddress(base, window.location.href)}>
        Sign in
      </a>
    </div>
  );
}
