import { Link } from "@tanstack/react-router";
import { reasonOf } from "../actions/SkipReason";
import { type RunName, runParams } from "../live/paths";
import { printSide } from "../live/sides";
import { Time } from "../ui/Time";
import { type TaskRun, failureHistory, runsBefore } from "./failureHistory";
import classes from "./SinceWhen.module.css";

interface Props {
  /** A failed run. */
  run: TaskRun;
  /** The runs before it, newest first. */
  earlier: readonly TaskRun[];
  /** What the runs have in common, such as the name of their task. */
  what: string;
}

/** Since when runs of a task fail, and whether the error is new. */
export function SinceWhen({ run, earlier, what }: Props) {
  if (!earlier.length) return <p className="faint">This is the first run of {what}.</p>;
  const { first, count, before, successes, versions, other, same } = failureHistory(run, earlier);
  const known = runsBefore(earlier.length);
  const parts: React.ReactNode[] = [
    count === 1 ? (
      <>
        <strong>New failure</strong>
        {successes > 1 ? `, the first after ${successes.toLocaleString("en")} successes` : null}
      </>
    ) : (
      <>
        <strong>Failing since</strong> <LinkTo run={first} />, <Time value={first.createdAt} />:{" "}
        {count.toLocaleString("en")} failed runs of {what} in a row
        {successes > 1 ? `, after ${successes.toLocaleString("en")} successes` : null}
      </>
    ),
    before ? (
      <>
        last success: <LinkTo run={before} />, <Time value={before.createdAt} /> ·{" "}
        <Link
          to="/compare"
          search={{ a: printSide(sideOf(before)), b: printSide(sideOf(run)) }}
          className="link"
        >
          What changed since
        </Link>
      </>
    ) : (
      `no success in ${known}`
    ),
    versions ? (
      <>
        version changed from <code>{versions.from}</code> to <code>{versions.to}</code>
      </>
    ) : null,
    other ? (
      <>
        <LinkTo run={other} /> had another error
        {other.error ? (
          <span title={reasonOf(other.error)}>: {other.error.code ?? other.error.summary}</span>
        ) : null}
      </>
    ) : null,
    same ? (
      <>
        the same error was in <LinkTo run={same} />, <Time value={same.createdAt} />
      </>
    ) : run.error && before && !other ? (
      count === 1 ? (
        `new error: not seen in ${known}`
      ) : (
        "new error since then"
      )
    ) : null,
  ];
  return (
    <p data-since>
      {parts.map((part, index) =>
        part ? (
          <span key={index}>
            {index ? " · " : null}
            {part}
          </span>
        ) : null,
      )}
    </p>
  );
}

/** A link to a run within a sentence. */
const sideOf = ({ project, domain, name }: TaskRun): RunName => ({ project, domain, name });

export function LinkTo({ run }: { run: TaskRun }) {
  return (
    <Link to="/runs/$project/$domain/$name" params={runParams(run)} className={classes.inText}>
      {run.name}
    </Link>
  );
}
