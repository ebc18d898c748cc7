import { Alert, Button, Loader } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./notices.module.css";

interface ErrorProps {
  title: string;
  problem: { message: string; code: string; id?: string | undefined };
  retry?: () => void;
}

/** An error with its code and a retry button. */
export function ErrorNotice({ title, problem, retry }: ErrorProps) {
  return (
    <Alert color="red" variant="light" title={title} className={classes.error} role="alert">
      <p className={classes.message}>{problem.message}</p>
      <p className="faint small">
        <code>{problem.code}</code>
        {problem.id ? (
          <>
            {" "}
            · in the server&apos;s log as <code>{problem.id}</code>
          </>
        ) : null}
      </p>
      {retry ? (
        <Button size="xs" variant="light" color="red" onClick={retry}>
          Try again
        </Button>
      ) : null}
    </Alert>
  );
}

/** An empty state with a hint. */
export function EmptyNotice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <p className={classes.title}>{title}</p>
      {children ? <div className="faint">{children}</div> : null}
    </div>
  );
}

export function LoadingNotice({ what }: { what: string }) {
  return (
    <div className={classes.empty} role="status">
      <Loader size="sm" />
      <p className="faint">Loading {what}…</p>
    </div>
  );
}
