import { getRouteApi, useLocation } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { mayWithin, useGrants } from "../live/access";
import { runParams } from "../live/paths";
import { printQuery } from "../live/search";
import { useSearchChanges } from "../live/useSearchChanges";
import { later } from "../ui/later";
import { EmptyNotice, ErrorNotice } from "../ui/notices";
import { useNow } from "../ui/clock";
import { useHotkeys } from "../ui/hotkeys";
import { Preference, usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { useTitle } from "../ui/title";
import { readFragment } from "../gql";
import { REPORTED } from "./columns";
import { RunRowFragment } from "./documents";
import { findList } from "./savedLists";
import { FilterChips } from "./FilterChips";
import classes from "./RunsPage.module.css";
import { RunTable } from "./RunTable";
import { type RunSearch, filterOf, isFiltered } from "./runSearch";
import { orderOf } from "./sorting";
import { useRunList } from "./useRunList";
import { useTicks } from "./useTicks";

// After the rows, which do not wait for them.
const RunsToolbar = later(
  async () => (await import("./RunsToolbar")).RunsToolbar,
  <div className={classes.bar} />,
);
const DensityStrip = later(
  async () => (await import("./DensityStrip")).DensityStrip,
  <div className={classes.strip} />,
);

const BulkBar = later(async () => (await import("./BulkBar")).BulkBar);

const route = getRouteApi("/runs");

/** The interval in milliseconds at which "longer than" and "no report for" are evaluated again. */
const POLL_INTERVAL = 60_000;

const hiddenColumns = new Preference<string[]>(
  "rungraph.hiddenColumns",
  [REPORTED],
  (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string"),
);

/** The live list of matching runs. */
export function RunsPage() {
  useTitle("Runs");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const key = printQuery({ ...search });
  const entry = useLocation({ select: ({ state }) => state.__TSR_key });
  const utc = usePreference(timeMode) === "utc";
  const now = useNow(false);
  const [again, setAgain] = useState({ key, count: 0 });
  const count = again.key === key ? again.count : 0;
  // Relative times are fixed when the filter changes: a sliding range would drop runs.
  const filter = useMemo(
    () => (count ? undefined : findList(entry)?.filter) ?? filterOf(search, now, utc),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the search and for its entry
    [key, count, utc],
  );
  const hidden = usePreference(hiddenColumns);
  const { live, list, view, problem, isStale, loadOlder, retry } = useRunList(
    filter,
    entry,
    !hidden.includes(REPORTED),
    orderOf(search.sort),
  );
  const mayAbort = mayWithin(useGrants(), "ABORT", search.project, search.domain) !== "nowhere";
  const ticks = useTicks(view.ids, printQuery({ ...search, sort: undefined }));
  const { change, type } = useSearchChanges<RunSearch>((next) => void navigate(next));

  const [held, setHeld] = useState(false);
  const [reading, setReading] = useState(live.top > 0);
  const isStill = held || reading || !(search.longer ?? search.silent);
  useEffect(() => {
    if (isStill) return;
    const timer = setInterval(() => setAgain({ key, count: count + 1 }), POLL_INTERVAL);
    return () => clearInterval(timer);
  }, [isStill, key, count]);
  const [cursor, setCursor] = useState<string | null>(null);
  // The page of a run is ready for a click, also while the server is unavailable.
  useEffect(() => {
    if (view.synced) void import("./RunPage");
  }, [view.synced]);
  useEffect(() => list.hold(held || reading), [list, held, reading]);

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
  const tick = (range: boolean): void => {
    const at = cursor ? view.ids.indexOf(cursor) : -1;
    if (mayAbort && at >= 0) ticks.toggle(at, range);
  };
  useHotkeys([
    { keys: "j", what: "Next run", run: () => step(1) },
    { keys: "k", what: "Previous run", run: () => step(cursor ? -1 : 1) },
    { keys: "Enter", what: "Open the run", run: open },
    { keys: "x", what: "Select the run, or clear it", run: () => tick(false) },
    { keys: "X", what: "Select all runs up to this one", run: () => tick(true) },
    { keys: "h", what: "Pause updates, or resume them", run: () => setHeld(!held) },
  ]);

  return (
    <main className={classes.page}>
      <h1 className="only-read">Runs</h1>
      <RunsToolbar
        search={search}
        filter={filter}
        onChange={change}
        onType={type}
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
            <button type="button" className="link-button" onClick={() => change({ sort: search.sort })}>
              Clear the filter
            </button>
          ) : (
            <>
              Runs appear here as executors write them: try <code>rungraph demo</code>.
            </>
          )}
        </EmptyNotice>
      ) : !view.synced && !view.ids.length ? (
        // The outline of index.html until the first rows.
        <div className="start-rows" role="status" aria-label="Loading runs" />
      ) : (
        <RunTable
          list={list}
          place={live}
          view={view}
          isStale={isStale}
          hidden={hidden}
          cursor={cursor}
          ticks={mayAbort ? ticks : null}
          sort={search.sort}
          onSort={(sort) => change({ ...search, sort })}
          onOlder={loadOlder}
          onReading={setReading}
        />
      )}
      {ticks.ids.size ? <BulkBar list={list} ticks={ticks} filter={filter} /> : null}
    </main>
  );
}
