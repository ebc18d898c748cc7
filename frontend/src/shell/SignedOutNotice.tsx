import { useLocation } from "@tanstack/react-router";
import { useApi } from "../live/api";
import { loginAddress } from "../live/session";
import { useValue } from "../ui/value";
import classes from "./SignedOutNotice.module.css";

/** Says that what is shown is not live any more since nobody is signed in, and leads to where one can. */
export function SignedOutNotice() {
  const { session, base } = useApi();
  const isOver = useValue(session.isOver);
  // Drawn again when the address changes: the way back is to what is shown then.
  useLocation();
  if (!isOver) return null;
  return (
    <div className={classes.notice} role="alert">
      <span>
        <strong>You are signed out.</strong> What is shown here is from before, and does not change any more.
      </span>
      <a className={classes.way} href={loginAddress(base, window.location.href)}>
        Sign in
      </a>
    </div>
  );
}
