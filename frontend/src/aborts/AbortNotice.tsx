import { Button } from "@mantine/core";
import { useMutation } from "urql";
import { type FragmentType, graphql, readFragment } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { useMayAbort } from "../live/access";
import { problemOf } from "../live/errors";
import { announce } from "../ui/announce";
import { useNow } from "../ui/clock";
import { formatRelative } from "../ui/times";
import { Time } from "../ui/Time";
import classes from "./AbortNotice.module.css";

export const AbortNoticeFragment = graphql(`
  fragment AbortNotice on Abort {
    state
    reason
    requestedBy {
      subject
      name
    }
    requestedAt
    attemptCount
    nextAttemptAt
    lastError
    confirmedAt
  }
`);

interface Props {
  abort: FragmentType<typeof AbortNoticeFragment>;
  /** The aborted action; for a run, its root. */
  id: ActionIdentifierInput;
}

/** The state of an abort: requested does not mean stopped. */
export function AbortNotice({ abort: masked, id }: Props) {
  const abort = readFragment(AbortNoticeFragment, masked);
  const canRetry = useMayAbort(id.project, id.domain);
  // The server confirmed it in place of an executor that is lost.
  const isLost = abort.state === "CONFIRMED" && !!abort.lastError?.startsWith(EXECUTOR_LOST);
  const who = abort.requestedBy?.name ?? abort.requestedBy?.subject;
  return (
    <div className={classes.notice} data-state={isLost ? "LOST" : abort.state} role="status">
      <p className={classes.state}>
        {isLost ? <strong>Executor lost. </strong> : null}
        {isLost ? LOST : (STATES[abort.state]?.(abort) ?? abort.state)}
      </p>
      <p className="faint">
        Requested {who ? <>by {who} </> : null}
        <Time value={abort.requestedAt} />
        {abort.reason ? <>: “{abort.reason}”</> : ", without a reason"}
        {abort.confirmedAt ? (
          <>
            {" "}
            · confirmed <Time value={abort.confirmedAt} />
          </>
        ) : null}
      </p>
      {abort.lastError && abort.state !== "CONFIRMED" ? (
        <p className={classes.error}>Last error: {abort.lastError}</p>
      ) : null}
      {abort.nextAttemptAt && abort.state !== "CONFIRMED" ? <NextTry at={abort.nextAttemptAt} /> : null}
      {abort.state === "FAILED" && canRetry ? <RetryButton id={id} /> : null}
    </div>
  );
}

const EXECUTOR_LOST = "EXECUTOR_LOST:";
const LOST =
  "Aborted: the server confirmed it, since the executor no longer renews its lease. If the executor comes back, " +
  "it gets the abort again.";

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);
const attempts = (count: number): string => (count === 1 ? "1 attempt" : `${count} attempts`);

const STATES: Record<string, (abort: { attemptCount: number }) => string> = {
  REQUESTED: () => "Abort requested: the executor has not been notified yet. It may still be running.",
  RETRYING: ({ attemptCount }) =>
    `Aborting: the executor was notified ${times(attemptCount)} and has not confirmed. It may still be running.`,
  CONFIRMED: () => "Aborted: the executor confirmed that the work has stopped.",
  FAILED: ({ attemptCount }) =>
    `Abort failed after ${attempts(attemptCount)}: check whether it is still running.`,
};

const RetryAbort = graphql(`
  mutation RetryAbort($id: ActionIdentifierInput!) {
    retryAbort(id: $id) {
      requested
      action {
        id
        abort {
          ...AbortNotice
        }
      }
    }
  }
`);

function RetryButton({ id }: { id: ActionIdentifierInput }) {
  const [{ fetching }, retry] = useMutation(RetryAbort);
  const ask = async (): Promise<void> => {
    const { data, error } = await retry({ id });
    if (data)
      announce(data.retryAbort.requested ? "Abort requested again" : "The abort is already in progress");
    else announce(problemOf(error).message);
  };
  return (
    <Button size="compact-xs" variant="default" mt={6} loading={fetching} onClick={() => void ask()}>
      Try again
    </Button>
  );
}

function NextTry({ at }: { at: string }) {
  const now = useNow();
  return <p className="faint">Next attempt {formatRelative(Date.parse(at), now)}</p>;
}
