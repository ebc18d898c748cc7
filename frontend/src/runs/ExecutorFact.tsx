import { useNow } from "../ui/clock";
import { describeLease, type Lease } from "./lease";
import classes from "./RunHeader.module.css";

/** Who executes a run, and whether it is still there. */
export function ExecutorFact({ run, hasEnded }: { run: Lease; hasEnded: boolean }) {
  const isLeased = !hasEnded && !!run.leaseExpiresAt;
  const now = useNow(!hasEnded, isLeased ? 1_000 : 15_000);
  const state = hasEnded ? null : describeLease(run, now);
  return (
    <>
      {run.executor ? <code>{run.executor}</code> : <span className="faint">unknown</span>}
      {state ? (
        <span
          className={state.kind === "held" ? "faint number" : `${classes.warn} number`}
          title={state.explanation}
          data-lease={state.kind}
        >
          {", "}
          {state.text}
        </span>
      ) : null}
    </>
  );
}

/** Whether there is anything to say about the executor. */
export function useHasExecutorFact(run: Lease, hasEnded: boolean): boolean {
  const now = useNow(!hasEnded && !run.executor, 15_000);
  return !!run.executor || (!hasEnded && describeLease(run, now) !== null);
}
