import { Link, getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { AbortDialog, type AbortTarget } from "../aborts/AbortDialog";
import { readFragment } from "../gql";
import { mayWithin, useGrants } from "../live/access";
import { useApi } from "../live/api";
import { ErrorNotice, LoadingNotice } from "../ui/notices";
import { useTitle } from "../ui/title";
import { useValue } from "../ui/value";
import { NowGroupFragment } from "./documents";
import { ofPerson } from "./filters";
import { type Tile, sumOf, tilesOf } from "./groups";
import { NowLists } from "./NowLists";
import classes from "./NowPage.module.css";
import { FAILED, type NowSearch, QUEUED, UNFINISHED } from "./nowSearch";
import { Tiles } from "./Tiles";
import { useNowData } from "./useNowData";

const route = getRouteApi("/now");

/** What runs now, what may be stuck, and stopping it. */
export function NowPage() {
  useTitle("Now");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const viewer = useValue(useApi().session.viewer)?.identity?.subject;
  const { counts, lists, problem, refresh, read } = useNowData(search, viewer);
  const [target, setTarget] = useState<AbortTarget | null>(null);
  const mayAbort = mayWithin(useGrants(), "ABORT", search.project);
  const change = (next: NowSearch): void => void navigate({ search: next });
  if (problem && !counts)
    return (
      <main className={classes.page}>
        <h1 className="only-read">Now</h1>
        <ErrorNotice title="What runs now could not be read" problem={problem} retry={refresh} />
      </main>
    );
  if (!counts || !lists)
    return (
      <main className={classes.page}>
        <h1 className="only-read">Now</h1>
        <LoadingNotice what="what runs now" />
      </main>
    );
  const groups = (found: typeof counts.people) => found.map((group) => readFragment(NowGroupFragment, group));
  const projects = tilesOf(groups(counts.projects), groups(counts.failedProjects));
  const people = tilesOf(groups(counts.people), groups(counts.failedPeople));
  const person = people.find(({ id }) => id === search.by)?.name ?? search.by;
  const abortAll = ({ id, name }: Tile): void => {
    if (id === null) return;
    const where = search.project === undefined ? "" : ` in ${search.project}`;
    const some = mayAbort === "everywhere" ? "" : ", where you may abort";
    setTarget({ kind: "runs", filter: ofPerson(id, search), described: `by ${name}${where}${some}` });
  };
  const { running, queued, failed } = sumOf(projects, search.project);
  const list = { project: search.project, by: search.by };
  return (
    <main className={classes.page}>
      <header className={classes.head}>
        <h1>Now</h1>
        <span className={classes.sums} role="status">
          <Link
            to="/runs"
            search={{ ...list, phase: UNFINISHED.filter((each) => !QUEUED.includes(each)) }}
            className="link"
          >
            {running.toLocaleString("en")} running
          </Link>
          <Link to="/runs" search={{ ...list, phase: QUEUED }} className="link">
            {queued.toLocaleString("en")} queued
          </Link>
          <Link to="/runs" search={{ ...list, phase: FAILED, from: "24h" }} className="link">
            {failed.toLocaleString("en")} failed in the last 24 hours
          </Link>
        </span>
        {search.project !== undefined ? (
          <button
            type="button"
            className={classes.chip}
            onClick={() => change({ ...search, project: undefined })}
          >
            project: {search.project} <span aria-hidden>×</span>
            <span className="only-read">, remove the filter</span>
          </button>
        ) : null}
        {search.by !== undefined ? (
          <button type="button" className={classes.chip} onClick={() => change({ ...search, by: undefined })}>
            by: {person} <span aria-hidden>×</span>
            <span className="only-read">, remove the filter</span>
          </button>
        ) : null}
      </header>
      {problem ? (
        <p className={classes.problem} role="alert">
          Not updated: {problem.message}
        </p>
      ) : null}
      <Tiles
        title="People"
        tiles={people}
        selected={search.by}
        onSelect={(by) => change({ ...search, by })}
        failedOf={(by) => ({ by, project: search.project })}
        onAbort={mayAbort === "nowhere" ? undefined : abortAll}
      />
      <Tiles
        title="Projects"
        tiles={projects}
        selected={search.project}
        onSelect={(project) => change({ ...search, project })}
        failedOf={(project) => ({ project, by: search.by })}
      />
      <NowLists
        lists={lists}
        search={search}
        viewer={viewer}
        onRead={read}
        onAbort={(id) => setTarget({ kind: "run", id })}
      />
      {target ? (
        <AbortDialog
          target={target}
          onClose={() => {
            setTarget(null);
            refresh();
          }}
        />
      ) : null}
    </main>
  );
}
