import { Button, CloseButton, Tabs } from "@mantine/core";
import { lazy, Suspense, useCallback, useState } from "react";
import { useQuery, useSubscription } from "urql";
import { AbortNotice } from "../aborts/AbortNotice";
import { type FragmentType, graphql, readFragment } from "../gql";
import { useMayAbort } from "../live/access";
import { problemOf } from "../live/errors";
import type { RunName } from "../live/paths";
import { useRetryOnReconnect } from "../live/useRetryOnReconnect";
import { ActionNotesFragment } from "../notes/documents";
import { useNotes } from "../notes/useNotes";
import { CopyButton } from "../ui/CopyButton";
import { later } from "../ui/later";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { OutLinks } from "../ui/OutLinks";
import { PhaseBadge } from "../ui/PhaseBadge";
import { hasEnded, words } from "../ui/phases";
import classes from "./ActionPanel.module.css";
import type { ActionTab } from "./address";
import { ActionDetails } from "./ActionDetails";
import { ActionError } from "./ActionError";
import { ActionSpec, ActionState } from "./ActionTexts";
import { Attempts } from "./Attempts";
import { CompareLink } from "./CompareLink";
import { ActionViewFragment } from "./documents";
import { EventList } from "./EventList";
import { LostNotice, PlaceholderNotice } from "./LostNotice";
import { Metrics } from "./Metrics";
import { ProgressLine } from "./ProgressLine";
import { RunTime } from "./RunTime";
import { SkipReason } from "./SkipReason";

const AbortDialog = later(async () => (await import("../aborts/AbortDialog")).AbortDialog);

// Loaded when they are opened.
const PanelLogs = lazy(() => import("./PanelLogs"));
const ActionArtifacts = lazy(() => import("../artifacts/ActionArtifacts"));

const ActionOf = graphql(`
  query ActionOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      ...ActionView
    }
  }
`);

const LiveActionOf = graphql(`
  subscription LiveActionOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      ...ActionView
      # A new event is a change as well.
      latest: events(last: 1) {
        nodes {
          id
        }
      }
    }
  }
`);

interface Shown {
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  /** The selected tab, kept when another action is selected. */
  tab: ActionTab;
  onTab: (tab: ActionTab) => void;
}

interface Props extends Shown {
  run: RunName;
  name: string;
  onClose: () => void;
  onSelect: (name: string) => void;
}

/** Everything about one action, live. */
export function ActionPanel({ run, name, onClose, onSelect, ...shown }: Props) {
  const id = { project: run.project, domain: run.domain, runName: run.name, name };
  const [{ data, error, fetching }, reload] = useQuery({ query: ActionOf, variables: { id } });
  const retry = useCallback(() => reload({ requestPolicy: "network-only" }), [reload]);
  useRetryOnReconnect(error, retry);
  // Results go into the cache and reach the query above from there.
  const [{ data: changes = 0 }] = useSubscription(
    { query: LiveActionOf, variables: { id }, pause: !data?.action },
    (count: number | undefined) => (count ?? -1) + 1,
  );
  return (
    <section className={classes.panel} aria-label={`Action ${name}`} data-testid="action">
      {data?.action ? (
        <ActionView action={data.action} {...shown} onClose={onClose} onSelect={onSelect} changes={changes} />
      ) : (
        <>
          <header className={classes.head}>
            <h2 className={classes.title}>{name}</h2>
            <CloseButton aria-label="Close the action" onClick={onClose} />
          </header>
          {error ? (
            <ErrorNotice title="The action could not be read" problem={problemOf(error)} retry={retry} />
          ) : fetching ? (
            <LoadingNotice what="the action" />
          ) : (
            <EmptyNotice title="There is no such action">It may be created later in the run.</EmptyNotice>
          )}
        </>
      )}
    </section>
  );
}

interface ViewProps extends Shown {
  action: FragmentType<typeof ActionViewFragment>;
  onClose: () => void;
  onSelect: (name: string) => void;
  /** The number of changes since it was read. */
  changes: number;
}

function ActionView({ action: masked, runEnd, tab, onTab, onClose, onSelect, changes }: ViewProps) {
  const action = readFragment(ActionViewFragment, masked);
  const [aborting, setAborting] = useState(false);
  const { project, domain, runName, name } = action;
  const id = { project, domain, runName, name };
  const hasMetrics = action.metrics.length > 0;
  const isAbortable = useMayAbort(project, domain) && !hasEnded(action.phase);
  const { button, notes } = useNotes(id, readFragment(ActionNotesFragment, action));
  return (
    <>
      <header className={classes.head}>
        <div className={classes.heading}>
          <h2 className={classes.title} title={name}>
            {name}
          </h2>
          <CopyButton value={name} what="action name" />
        </div>
        {isAbortable ? (
          <Button size="compact-xs" variant="light" color="red" onClick={() => setAborting(true)}>
            Abort
          </Button>
        ) : null}
        <CompareLink id={id} />
        <CloseButton aria-label="Close the action" onClick={onClose} />
      </header>
      <div className={classes.body} data-tab={tab}>
        <div className={classes.summary}>
          <PhaseBadge phase={action.phase} />
          <RunTime action={action} runEnd={runEnd} />
          {action.attempts > 1 ? <span>attempt {action.attempts}</span> : null}
          {action.cacheStatus !== "DISABLED" ? (
            <span className="faint">cache {words(action.cacheStatus).toLowerCase()}</span>
          ) : null}
          {button}
        </div>
        <OutLinks links={action.links} />
        {action.progress ? (
          <ProgressLine progress={action.progress} hasEnded={hasEnded(action.phase)} />
        ) : null}
        {action.isPlaceholder ? <PlaceholderNotice /> : null}
        {action.isLost ? <LostNotice /> : null}
        {action.error && action.phase === "SKIPPED" ? (
          <SkipReason error={action.error} />
        ) : action.error ? (
          <ActionError id={id} error={action.error} attempts={action.attempts} label="Error" />
        ) : null}
        {action.abort ? <AbortNotice abort={action.abort} id={id} /> : null}
        {notes}
        <Tabs
          value={tab === "metrics" && !hasMetrics ? "attempts" : tab}
          onChange={(value) => onTab((value ?? "attempts") as ActionTab)}
          keepMounted={false}
          variant="default"
        >
          <Tabs.List>
            <Tabs.Tab value="attempts">Attempts</Tabs.Tab>
            <Tabs.Tab value="logs">Logs</Tabs.Tab>
            <Tabs.Tab value="files">Files</Tabs.Tab>
            {hasMetrics ? <Tabs.Tab value="metrics">Metrics</Tabs.Tab> : null}
            <Tabs.Tab value="events">Events</Tabs.Tab>
            <Tabs.Tab value="details">Details</Tabs.Tab>
            <Tabs.Tab value="spec">Spec</Tabs.Tab>
            <Tabs.Tab value="state">State</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="attempts" className={classes.tab}>
            <Attempts id={id} changes={changes} runEnd={runEnd} />
          </Tabs.Panel>
          <Tabs.Panel value="logs" className={classes.logTab}>
            <Suspense fallback={<LoadingNotice what="the logs" />}>
              <PanelLogs id={id} changes={changes} />
            </Suspense>
          </Tabs.Panel>
          <Tabs.Panel value="files" className={classes.tab}>
            <Suspense fallback={<LoadingNotice what="the files" />}>
              <ActionArtifacts id={id} changes={changes} />
            </Suspense>
          </Tabs.Panel>
          <Tabs.Panel value="metrics" className={classes.tab}>
            <Metrics id={id} changes={changes} />
          </Tabs.Panel>
          <Tabs.Panel value="events" className={classes.tab}>
            <EventList id={id} changes={changes} />
          </Tabs.Panel>
          <Tabs.Panel value="details" className={classes.tab}>
            <ActionDetails action={action} onSelect={onSelect} />
          </Tabs.Panel>
          <Tabs.Panel value="spec" className={classes.tab}>
            <ActionSpec id={id} />
          </Tabs.Panel>
          <Tabs.Panel value="state" className={classes.tab}>
            <ActionState id={id} changes={changes} />
          </Tabs.Panel>
        </Tabs>
      </div>
      {aborting ? <AbortDialog target={{ kind: "action", id }} onClose={() => setAborting(false)} /> : null}
    </>
  );
}
