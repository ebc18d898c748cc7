import { Button } from "@mantine/core";
import { type FragmentType, graphql, readFragment } from "../gql";
import { JsonView } from "../ui/JsonView";
import { EmptyNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { Time } from "../ui/Time";
import classes from "./ActionPanel.module.css";

const ActionEventsFragment = graphql(`
  fragment ActionEvents on Action {
    name
    events(last: $events) {
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
          message
        }
        clusterEvents {
          message
          reason
        }
      }
    }
  }
`);

interface Props {
  action: FragmentType<typeof ActionEventsFragment>;
  /** Shows more from further back, where that is possible. */
  more: (() => void) | null;
}

/** What the executor reported, the newest first. */
export function EventList({ action, more }: Props) {
  const { events, name } = readFragment(ActionEventsFragment, action);
  if (!events.nodes.length) return <EmptyNotice title="No events yet" />;
  return (
    <>
      <ol className={classes.events} reversed>
        {[...events.nodes].reverse().map((event) => (
          <li key={event.id}>
            <div className={classes.eventHead}>
              <PhaseBadge phase={event.phase} />
              <span className="faint small">
                attempt {event.attempt}
                {event.version ? `, version ${event.version}` : ""}
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
                {event.error.message}
              </p>
            ) : null}
            {event.clusterEvents.map((said, index) => (
              <p key={index} className={`${classes.eventText} faint`}>
                {said.reason ? `${said.reason}: ` : ""}
                {said.message}
              </p>
            ))}
            {event.info != null ? (
              <details className={classes.more}>
                <summary>Info</summary>
                <JsonView value={event.info} name={`info of ${name}`} />
              </details>
            ) : null}
          </li>
        ))}
      </ol>
      {events.pageInfo.hasPreviousPage ? (
        more ? (
          <Button variant="subtle" size="xs" onClick={more}>
            Show earlier events
          </Button>
        ) : (
          <p className="faint">There are more, earlier ones: read them over the API, by `events`.</p>
        )
      ) : null}
    </>
  );
}
