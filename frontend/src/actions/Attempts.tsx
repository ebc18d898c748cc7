import { Link } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql, readFragment } from "../gql";
import type { ActionIdentifierInput, AttemptsOfQuery } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { runParams } from "../live/paths";
import { useRefetch } from "../live/useRefetch";
import { attemptNumbers } from "../logs/attempts";
import { LogLinks } from "../logs/linked/LogLinks";
import { Duration } from "../ui/Duration";
import { ErrorBox } from "../ui/ErrorBox";
import { later } from "../ui/later";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { hasEnded, words } from "../ui/phases";
import { Time } from "../ui/Time";
import { ErrorBoxFragment } from "./ActionError";
import classes from "./ActionPanel.module.css";

// Loaded when an attempt has outputs.
const OutputView = later(async () => (await import("../artifacts/OutputView")).default);

const AttemptsOf = graphql(`
  query AttemptsOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      phase
      attempts
      startedAt
      endedAt
      error {
        code
        summary
      }
      attemptHistory {
        attempt
        phase
        startedAt
        endedAt
        cluster
        cacheStatus
        outputs
        error {
          ...ErrorBox
          message(maxLength: 20000)
        }
        logs {
          name
          uri
          isReadable
        }
        clusterEvents {
          occurredAt
          message
          reason
          warning
        }
        phaseTransitions {
          phase
          startedAt
          endedAt
        }
      }
    }
  }
`);

type Action = NonNullable<AttemptsOfQuery["action"]>;
type Attempt = Action["attemptHistory"][number];

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
}

/** The attempts, newest first. */
export function Attempts({ id, changes, runEnd }: Props) {
  const [query, reload] = useQuery({ query: AttemptsOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error: problem } = query;
  if (problem && !data) {
    return (
      <ErrorNotice
        title="The attempts could not be read"
        problem={problemOf(problem)}
        retry={() => reload()}
      />
    );
  }
  if (!data) return <LoadingNotice what="the attempts" />;
  const { action } = data;
  const { attemptHistory = [], error } = action ?? {};
  const last = attemptHistory.at(-1);
  if (!action || (!attemptHistory.length && action.attempts < 1)) {
    return <EmptyNotice title="No attempts yet">The executor has reported nothing.</EmptyNotice>;
  }
  const known = new Map(attemptHistory.map((each) => [each.attempt, each]));
  const numbers = attemptNumbers(action.attempts, [...known.keys()]).reverse();
  const isShownAbove = (attempt: Attempt): boolean => {
    const shown = readFragment(ErrorBoxFragment, attempt.error);
    // Of what was skipped only a line is shown above.
    const isSame = shown?.code === error?.code && shown?.summary === error?.summary;
    return attempt === last && attempt.phase !== "SKIPPED" && isSame;
  };
  const hasMore = (numbers.at(-1) ?? 1) > 1;
  return (
    <>
      {numbers.map((number) => {
        const attempt = known.get(number);
        return attempt ? (
          <AttemptView
            key={number}
            attempt={attempt}
            id={id}
            runEnd={runEnd}
            isShownAbove={isShownAbove(attempt)}
          />
        ) : (
          <WithoutEvents key={number} number={number} action={action} runEnd={runEnd} />
        );
      })}
      {hasMore ? <p className="faint">Only the newest {numbers.length} attempts are shown.</p> : null}
    </>
  );
}

/** An attempt of which only the phase was reported, and only that of the latest is stored. */
function WithoutEvents({
  number,
  action,
  runEnd,
}: {
  number: number;
  action: Action;
  runEnd: string | null;
}) {
  const { phase, attempts, startedAt, endedAt } = action;
  return (
    <section className={classes.attempt} aria-label={`Attempt ${number}`}>
      <div className={classes.attemptHead}>
        <h3>Attempt {number}</h3>
        {number === attempts ? <PhaseBadge phase={phase} /> : null}
        {number === attempts && startedAt ? <Duration from={startedAt} to={endedAt ?? runEnd} /> : null}
      </div>
      <p className="faint">The executor reported no events of this attempt.</p>
    </section>
  );
}

interface ViewProps {
  attempt: Attempt;
  id: ActionIdentifierInput;
  runEnd: string | null;
  /** Its error is already shown above as the action's. */
  isShownAbove: boolean;
}

function AttemptView({ attempt, id, runEnd, isShownAbove }: ViewProps) {
  const { error, logs, clusterEvents, phaseTransitions, outputs } = attempt;
  return (
    <section className={classes.attempt} aria-label={`Attempt ${attempt.attempt}`}>
      <div className={classes.attemptHead}>
        <h3>Attempt {attempt.attempt}</h3>
        <PhaseBadge phase={attempt.phase} />
        {attempt.phase === "SKIPPED" ? null : (
          <Duration from={attempt.startedAt} to={attempt.endedAt ?? runEnd} />
        )}
        {attempt.cluster ? <span className="faint">on {attempt.cluster}</span> : null}
        {attempt.cacheStatus && attempt.cacheStatus !== "DISABLED" ? (
          <span className="faint">cache {words(attempt.cacheStatus).toLowerCase()}</span>
        ) : null}
      </div>
      {error && !isShownAbove ? (
        <ErrorBox
          error={readFragment(ErrorBoxFragment, error)}
          message={error.message}
          label="Error of the attempt"
        />
      ) : null}
      {outputs != null ? (
        <>
          <h4 className={classes.part}>Outputs</h4>
          <OutputView value={outputs} name={`outputs of ${id.name}, attempt ${attempt.attempt}`} />
        </>
      ) : null}
      {logs.length ? (
        <>
          <h4 className={classes.part}>Logs</h4>
          <LogLinks
            links={logs}
            opener={(link) => (
              <Link
                to="/runs/$project/$domain/$name/logs"
                params={runParams({ ...id, name: id.runName })}
                search={{ action: id.name, attempt: attempt.attempt, link }}
                title={`Read ${link} here`}
              >
                {link}
              </Link>
            )}
          />
        </>
      ) : null}
      <h4 className={classes.part}>Phases</h4>
      <ol className={classes.steps}>
        {phaseTransitions.map((step) => (
          <li key={step.phase}>
            <PhaseBadge phase={step.phase} />
            <span className="faint">
              <Time value={step.startedAt} />
            </span>
            {hasEnded(step.phase) ? (
              <span />
            ) : (
              <Duration from={step.startedAt} to={step.endedAt ?? attempt.endedAt ?? runEnd} />
            )}
          </li>
        ))}
      </ol>
      {clusterEvents.length ? (
        <>
          <h4 className={classes.part}>Cluster</h4>
          <ul className={classes.cluster}>
            {clusterEvents.map((event, index) => (
              <li key={index} data-warning={event.warning}>
                <span className="faint">
                  <Time value={event.occurredAt} />
                </span>
                <span>
                  {event.reason ? <strong>{event.reason} </strong> : null}
                  {event.message}
                </span>
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </section>
  );
}
