import { Button } from "@mantine/core";
import { useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { JsonView } from "../ui/JsonView";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { Time } from "../ui/Time";
import classes from "./ActionPanel.module.css";

const EventsOf = graphql(`
  query EventsOf($id: ActionIdentifierInput!, $last: Int!) {
    action(id: $id) {
      id
      events(last: $last) {
        pageInfo {
          hasPreviousPage
        }
        nodes {
          id
          attempt
          phase
          version
          occurredAt
          reportedAt
          info
          error {
            code
            summary
          }
          clusterEvents {
            message
            reason
          }
        }
      }
    }
  }
`);

/** The number of events shown initially, and at most. */
const FIRST = 50;
const MAX_EVENTS = 1_000;

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
}

/** The events, newest first. Those with a negative version are of the server, which lost the executor. */
export function EventList({ id, changes }: Props) {
  const [last, setLast] = useState(FIRST);
  const [query, reload] = useQuery({ query: EventsOf, variables: { id, last } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The events could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the events" />;
  const events = data.action?.events;
  if (!events?.nodes.length) return <EmptyNotice title="No events yet" />;
  return (
    <>
      <ol className={classes.events} reversed>
        {[...events.nodes].reverse().map((event) => (
          <li key={event.id}>
            <div className={classes.eventHead}>
              <PhaseBadge phase={event.phase} />
              <span className="faint small">
                attempt {event.attempt}
                {event.version > 0
                  ? `, version ${event.version}`
                  : event.version < 0
                    ? ", by the server"
                    : ""}
              </span>
              <span
                className="faint small"
                title={event.reportedAt ? `reported ${event.reportedAt}` : undefined}
              >
                <Time value={event.occurredAt} />
              </span>
            </div>
            {event.error ? (
              <p className={classes.eventText} data-bad>
                {event.error.code ? `${event.error.code}: ` : ""}
                {event.error.summary}
              </p>
            ) : null}
            {event.clusterEvents.map((clusterEvent, index) => (
              <p key={index} className={`${classes.eventText} faint`}>
                {clusterEvent.reason ? `${clusterEvent.reason}: ` : ""}
                {clusterEvent.message}
              </p>
            ))}
            {event.info != null ? (
              <details className={classes.more}>
                <summary>Info</summary>
                <JsonView value={event.info} name={`info of ${id.name}`} />
              </details>
            ) : null}
          </li>
        ))}
      </ol>
      {events.pageInfo.hasPreviousPage ? (
        last < MAX_EVENTS ? (
          <Button variant="subtle" size="xs" onClick={() => setLast(Math.min(MAX_EVENTS, last * 4))}>
            Show earlier events
          </Button>
        ) : (
          <p className="faint">Earlier events are available from the API: `events`.</p>
        )
      ) : null}
    </>
  );
}
