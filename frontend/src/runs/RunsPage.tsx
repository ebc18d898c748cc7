import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { runParams } from "../live/paths";
import { printQuery } from "../live/search";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { useNow } from "../ui/clock";
import { useHotkeys } from "../ui/hotkeys";
import { Preference, usePreference } from "../ui/preferences";
import { useTitle } from "../ui/title";
import { readFragment } from "../gql";
import { DensityStrip } from "./DensityStrip";
import { RunRowFragment } from "./documents";
import { FilterChips } from "./FilterChips";
import classes from "./RunsPage.module.css";
import { RunsToolbar } from "./RunsToolbar";
import { RunTable } from "./RunTable";
import { type RunSearch, filterOf, isFiltered } from "./runSearch";
import { useRunList } from "./useRunList";

const route = getRouteApi("/runs");

const hiddenColumns = new Preference<string[]>(
  "rungraph.hiddenColumns",
  [],
  (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string"),
);

/** All runs that match, live. */
export function RunsPage() {
  useTitle("Runs");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const key = printQuery({ ...search });
  const now = useNow(false);
  // What is relative to now is fixed when the filter changes: a window that moves would let go of runs.
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the search
  const filter = useMemo(() => filterOf(search, now), [key]);
  const { list, view, problem, isStale, loadOlder, retry } = useRunList(filter);
  const change = useCallback((next: RunSearch) => void navigate({ search: next, replace: true }), [navigate]);

  const [held, setHeld] = useState(false);
  const [reading, setReading] = useState(false);
  const [cursor, setCursor] = useState<string | null>(null);
  useEffect(() => list.hold(held || reading), [list, held, reading]);

  const hidden = usePreference(hiddenColumns);
  const visibility = useMemo(() => Object.fromEntries(hidden.map((id) => [id, false])), [hidden]);

  const step = (by: number): void => {
    const at = cursor ? view.ids.indexOf(cursor) : -1;
    const next = view.ids[Math.max(0, Math.min(view.ids.length - 1, at + by))];
    if (next) setCursor(next);
  };
  const open = (): void => {
    const row = cursor ? list.get(cursor) : undefined;
    if (!row) return;
    const run = readFragment(RunRowFragment, row);
    void navigate({ to: "/runs/$project/$domain/$name", params: runParams(run), search: {} });
  };
  useHotkeys([
    { keys: "j", what: "Next run", run: () => step(1) },
    { keys: "k", what: "Previous run", run: () => step(cursor ? -1 : 1) },
    { keys: "Enter", what: "Open the run", run: open },
    { keys: "h", what: "Hold the list, or let it go on", run: () => setHeld(!held) },
  ]);

  return (
    <main className={classes.page}>
      <h1 className="only-read">Runs</h1>
      <RunsToolbar
        search={search}
        filter={filter}
        onChange={change}
        held={held}
        onHold={setHeld}
        waiting={view.waiting}
        onShow={() => list.catchUp()}
        hidden={hidden}
        onHide={(ids) => hiddenColumns.set(ids)}
      />
      <FilterChips search={search} onChange={change} />
      <DensityStrip filter={filter} version={view} onPick={(from, to) => change({ ...search, from, to })} />
      {problem && view.ids.length ? (
        <p className={classes.problem} role="alert">
          Not everything could be read: {problem.message}{" "}
          <button type="button" className="link-button" onClick={retry}>
            Try again
          </button>
        </p>
      ) : null}
      {problem && !view.ids.length ? (
        <ErrorNotice title="The runs could not be read" problem={problem} retry={retry} />
      ) : view.synced && !view.ids.length ? (
        <EmptyNotice title={isFiltered(search) ? "No run matches" : "No runs yet"}>
          {isFiltered(search) ? (
            <button type="button" className="link-button" onClick={() => change({})}>
              Clear the filter
            </button>
          ) : (
            <>
              Runs appear here as executors write them: try <code>rungraph demo</code>.
            </>
          )}
        </EmptyNotice>
      ) : !view.synced && !view.ids.length ? (
        <LoadingNotice what="runs" />
      ) : (
        <RunTable
          list={list}
          view={view}
          isStale={isStale}
          visibility={visibility}
          cursor={cursor}
          onOlder={loadOlder}
          onReading={setReading}
        />
      )}
    </main>
  );
}
