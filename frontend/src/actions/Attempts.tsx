import { useQuery } from "urql";
import { graphql, readFragment } from "../gql";
import type { ActionIdentifierInput, AttemptsOfQuery } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { Duration } from "../ui/Duration";
import { ErrorBox } from "../ui/ErrorBox";
import { JsonView } from "../ui/JsonView";
import { isSafeLink } from "../ui/links";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { hasEnded, words } from "../ui/phases";
import { Time } from "../ui/Time";
import { ErrorBoxFragment } from "./ActionError";
import classes from "./ActionPanel.module.css";

const AttemptsOf = graphql(`
  query AttemptsOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
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

type Attempt = NonNullable<AttemptsOfQuery["action"]>["attemptHistory"][number];

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
  const { attemptHistory = [], error } = data.action ?? {};
  const last = attemptHistory.at(-1);
  if (!attemptHistory.length) {
    return <EmptyNotice title="No attempts yet">The executor has reported nothing.</EmptyNotice>;
  }
  const isShownAbove = (attempt: Attempt): boolean => {
    const shown = readFragment(ErrorBoxFragment, attempt.error);
    return attempt === last && shown?.code === error?.code && shown?.summary === error?.summary;
  };
  // The API gives the newest 100.
  const hasMore = attemptHistory.length >= 100 && (attemptHistory[0]?.attempt ?? 0) > 1;
  return (
    <>
      {[...attemptHistory].reverse().map((attempt) => (
        <AttemptView
          key={attempt.attempt}
          attempt={attempt}
          name={id.name}
          runEnd={runEnd}
          isShownAbove={isShownAbove(attempt)}
        />
      ))}
      {hasMore ? <p className="faint">Only the newest {attemptHistory.length} attempts are shown.</p> : null}
    </>
  );
}

interface ViewProps {
  attempt: Attempt;
  name: string;
  runEnd: string | null;
  /** Its error is already shown above as the action's. */
  isShownAbove: boolean;
}

function AttemptView({ attempt, name, runEnd, isShownAbove }: ViewProps) {
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
      {logs.length ? (
        <>
          <h4 className={classes.part}>Logs</h4>
          <div className={classes.logs}>
            {logs.map((log) =>
              isSafeLink(log.uri) ? (
                <a key={log.name} className={classes.log} href={log.uri} target="_blank" rel="noreferrer">
                  {log.name} <span aria-hidden>↗</span>
                </a>
              ) : (
                <code key={log.name}>
                  {log.name}: {log.uri}
                </code>
              ),
            )}
          </div>
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
      {outputs != null ? (
        <>
          <h4 className={classes.part}>Outputs</h4>
          <JsonView value={outputs} name={`outputs of ${name}, attempt ${attempt.attempt}`} />
        </>
      ) : null}
    </section>
  );
}
