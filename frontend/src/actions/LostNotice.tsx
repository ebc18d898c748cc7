import classes from "./LostNotice.module.css";

/** Says that an action was ended since its executor stopped renewing its lease. */
export function LostNotice({ executor }: { executor?: string | null | undefined }) {
  return (
    <p className={classes.notice} role="note" data-lost>
      <strong>Executor lost.</strong> The server ended this as failed. If the executor{" "}
      {executor ? <code>{executor}</code> : null} reports again, it continues.
    </p>
  );
}

/** Says that an action was named or reported, but not described. */
export function PlaceholderNotice() {
  return (
    <p className={classes.plain} role="note" data-placeholder>
      <strong>Not described yet.</strong> No report had its details, such as its parent, so it is shown
      directly below the root.
    </p>
  );
}
