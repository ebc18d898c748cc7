import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useMemo } from "react";
import { useQuery, useSubscription } from "urql";
import { ActionTree } from "../actions/ActionTree";
import { useForest } from "../actions/useForest";
import { useLines } from "../actions/useLines";
import { useTimeline } from "../actions/useTimeline";
import { graphql } from "../gql";
import { problemOf } from "../live/errors";
import { type RunName, fromSegment } from "../live/paths";
import { useSearchChanges } from "../live/useSearchChanges";
import { useRetryOnReconnect } from "../live/useRetryOnReconnect";
import { useHotkeys } from "../ui/hotkeys";
import { later } from "../ui/later";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { useTabOf } from "../ui/tabIcon";
import { endOf } from "./runEnd";
import { RunFailure } from "./RunFailure";
import { RunHeader } from "./RunHeader";
import classes from "./RunPage.module.css";
import { RunToolbar } from "./RunToolbar";
import { SidePanel } from "./SidePanel";
import { useRunView } from "./useRunView";
import { type View, readView } from "./views";

// Loaded when they are opened.
const ActionPanel = lazy(() =>
  import("../actions/ActionPanel").then((module) => ({ default: module.ActionPanel })),
);

const LOADING = <LoadingNotice what="this view" />;
const GraphView = later(() => import("../graph/GraphView").then((module) => module.GraphView), LOADING);
const ActionTable = later(
  () => import("../tables/ActionTable").then((module) => module.ActionTable),
  LOADING,
);

const RunNeighbours = later(() => import("../history/RunNeighbours").then((module) => module.RunNeighbours));

const RunOf = graphql(`
  query RunOf($id: RunIdentifierInput!) {
    run(id: $id) {
      id
      phase
      createdAt
      startedAt
      endedAt
      phaseCounts {
        phase
        count
      }
      ...RunHeader
      ...RunFailure
      ...RunNeighbours
    }
  }
`);

const LiveRunOf = graphql(`
  subscription LiveRunOf($id: RunIdentifierInput!) {
    run(id: $id) {
      id
      phase
      createdAt
      startedAt
      endedAt
      phaseCounts {
        phase
        count
      }
      ...RunHeader
      ...RunFailure
      ...RunNeighbours
    }
  }
`);

const route = getRouteApi("/runs/$project/$domain/$name");

/** The page of a run: its header, its actions as tree or timeline, and the selected action beside them. */
export function RunPage() {
  const params = route.useParams();
  const run = useMemo(
    () => ({
      project: fromSegment(params.project),
      domain: fromSegment(params.domain),
      name: fromSegment(params.name),
    }),
    [params],
  );
  const [{ data, error, fetching }, reload] = useQuery({ query: RunOf, variables: { id: run } });
  const phase = data?.run?.phase;
  useTabOf(run.name, phase);
  // Requested in parallel with the run, so that the first actions appear with it.
  const actions = useForest(run, data?.run ? countOf(data.run) <= MOST_WITH_METRICS : false);
  // Results go into the cache and reach the query above from there.
  useSubscription({ query: LiveRunOf, variables: { id: run }, pause: !data?.run });
  const retry = useCallback(() => reload({ requestPolicy: "network-only" }), [reload]);
  useRetryOnReconnect(error, retry);
  const navigate = route.useNavigate();
  const select = useCallback(
    (name: string) => void navigate({ search: (before) => ({ ...before, action: name }) }),
    [navigate],
  );
  if (data?.run) {
    return (
      <main className={classes.page}>
        <RunHeader run={data.run}>
          <RunNeighbours run={data.run} />
          <RunFailure run={data.run} forest={actions.forest} onSelect={select} />
        </RunHeader>
        <Actions
          key={`${run.project}/${run.domain}/${run.name}`}
          run={run}
          runEnd={endOf(data.run)}
          actions={actions}
        />
      </main>
    );
  }
  return (
    <main className={classes.page}>
      {error ? (
        <ErrorNotice title="The run could not be read" problem={problemOf(error)} retry={retry} />
      ) : fetching ? (
        <LoadingNotice what="the run" />
      ) : (
        <EmptyNotice title={`There is no run ${run.name}`}>
          In {run.project}, {run.domain}. It may have been removed, or it has not begun yet.
        </EmptyNotice>
      )}
    </main>
  );
}

/** The tree of a larger run is without metrics: they would triple the time of its first rows. */
const MOST_WITH_METRICS = 2_000;

const countOf = ({ phaseCounts }: { phaseCounts: readonly { count: number }[] }): number =>
  phaseCounts.reduce((sum, { count }) => sum + count, 0);

interface ActionsProps {
  run: RunName;
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
  actions: ReturnType<typeof useForest>;
}

function Actions({ run, runEnd, actions: { forest, problem, retry } }: ActionsProps) {
  const { search, critical, onSelect, onZoom, onTab, onCritical } = useRunView();
  const navigate = route.useNavigate();
  const filter = useMemo(
    () => ({ text: search.q ?? "", phases: search.phase ?? [] }),
    [search.q, search.phase],
  );
  const lines = useLines(forest, filter, search.action);
  const view: View = search.view ?? "tree";
  const isTimed = view === "timeline";
  const timeline = useTimeline(run, forest, runEnd, {
    isShown: isTimed,
    showsCritical: critical,
    zoom: search.zoom,
    onZoom,
  });
  const { change, type } = useSearchChanges<typeof search>((next) => void navigate(next));
  const show = (view: View): void =>
    void navigate({ search: (before) => ({ ...before, view: readView(view) }) });
  useHotkeys([
    { keys: "t", what: "Tree or timeline", run: () => show(isTimed ? "tree" : "timeline") },
    {
      keys: "e",
      what: "Graph of dependencies or tree",
      run: () => show(view === "graph" ? "tree" : "graph"),
    },
    { keys: "b", what: "Table or tree", run: () => show(view === "table" ? "tree" : "table") },
    { keys: "Escape", what: "Close the action", run: () => onSelect(undefined) },
    ...(view === "graph"
      ? []
      : [
          { keys: "+", what: "Zoom in on the timeline", run: () => timeline.zoomBy(0.5) },
          { keys: "-", what: "Zoom out of the timeline", run: () => timeline.zoomBy(2) },
          { keys: "0", what: "Fit the timeline", run: timeline.zoom.reset },
        ]),
  ]);
  return (
    <div className={classes.split} data-panel={!!search.action}>
      <div className={classes.main}>
        <RunToolbar
          forest={forest}
          filter={filter}
          lines={lines}
          timeline={isTimed ? timeline : null}
          critical={critical}
          onCritical={onCritical}
          view={view}
          onView={show}
          onFilter={({ text, phases }) => {
            const isTyping = text !== filter.text;
            (isTyping ? type : change)({
              ...search,
              q: text || undefined,
              phase: phases.length ? [...phases] : undefined,
            });
          }}
        />
        {problem ? (
          <ErrorNotice title="The actions could not be read" problem={problem} retry={retry} />
        ) : view === "graph" ? (
          <GraphView
            {...{ forest, filter, runEnd, critical }}
            {...{ selected: search.action, onSelect }}
            onCritical={onCritical}
          />
        ) : view === "table" ? (
          <ActionTable
            {...{ run, runEnd, forest, filter, search }}
            onSearch={(next) => change({ ...search, ...next })}
            selected={search.action}
            onSelect={onSelect}
          />
        ) : (
          <ActionTree
            forest={forest}
            lines={lines}
            selected={search.action}
            onSelect={onSelect}
            runEnd={runEnd}
            timeline={isTimed ? timeline : null}
          />
        )}
      </div>
      {search.action ? (
        <SidePanel>
          <Suspense fallback={<LoadingNotice what="the action" />}>
            <ActionPanel
              key={search.action}
              run={run}
              name={search.action}
              runEnd={runEnd}
              tab={search.tab ?? "attempts"}
              onTab={onTab}
              onClose={() => onSelect(undefined)}
              onSelect={onSelect}
            />
          </Suspense>
        </SidePanel>
      ) : null}
    </div>
  );
}
