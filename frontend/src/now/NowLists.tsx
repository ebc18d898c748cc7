import { Link } from "@tanstack/react-router";
import { readFragment } from "../gql";
import type { NowRunsQuery } from "../gql/graphql";
import { type RunName, runParams } from "../live/paths";
import { useNow } from "../ui/clock";
import { Duration } from "../ui/Duration";
import { formatDuration } from "../ui/durations";
import { NowRunFragment } from "./documents";
import { COMPARED } from "./filters";
import { NowList, type NowRow, rowOf } from "./NowList";
import classes from "./NowPage.module.css";
import { type NowSearch, QUEUED } from "./nowSearch";
import { ENOUGH, describeAbort, describeExcess, describeSilence, excess } from "./stuck";

interface Props {
  lists: NowRunsQuery;
  search: NowSearch;
  /** The subject of the signed-in user. */
  viewer: string | undefined;
  /** The pointer is over the lists, or left them. */
  onRead: (reading: boolean) => void;
  onAbort: (run: RunName) => void;
}

/** The lists of what may be stuck, and the viewer's own runs. */
export function NowLists({ lists, search, viewer, onRead, onAbort }: Props) {
  const now = useNow(true, 5_000);
  const { project, by } = search;
  const late = lists.running.nodes
    .map((found) => {
      const run = readFragment(NowRunFragment, found);
      const { typicalDuration } = found;
      return { run, typicalDuration, by: excess({ createdAt: run.createdAt, typicalDuration }, now) };
    })
    .filter(({ by }) => by !== null)
    .sort((a, b) => (b.by ?? 0) - (a.by ?? 0))
    .map(({ run, typicalDuration, by }) =>
      rowOf(
        run,
        <>
          <Duration from={run.createdAt} />, {describeExcess(by ?? 1)}: 95 % of its task&apos;s runs take at
          most {formatDuration(Number(typicalDuration?.p95Ms))}
        </>,
      ),
    );
  const queued = lists.queued.nodes.map((found) => {
    const run = readFragment(NowRunFragment, found);
    const what = run.phase === "QUEUED" ? "queued" : "waiting for resources";
    return rowOf(
      run,
      <>
        {what} for <Duration from={run.createdAt} />
      </>,
    );
  });
  const paused = lists.paused.nodes.map((found) => {
    const run = readFragment(NowRunFragment, found);
    return rowOf(
      run,
      <Link
        to="/runs/$project/$domain/$name"
        params={runParams(run)}
        search={{ phase: ["PAUSED"] }}
        className="link"
      >
        an action is paused
      </Link>,
    );
  });
  const silent = lists.silent.nodes.map((found) =>
    rowOf(readFragment(NowRunFragment, found), describeSilence(found, now)),
  );
  const aborts: NowRow[] = lists.aborts.nodes
    .filter((action) => project === undefined || action.project === project)
    .filter(({ run }) => by === undefined || run.createdBy?.subject === by)
    .map((action) => ({
      id: action.id,
      run: { project: action.project, domain: action.domain, name: action.runName },
      action: action.parentName == null ? undefined : action.name,
      phase: action.phase,
      reason: action.abort ? describeAbort(action.abort) : null,
      isOver: true,
    }));
  const mine = (lists.mine?.nodes ?? []).map((found) => {
    const run = readFragment(NowRunFragment, found);
    return rowOf(run, <Duration from={run.createdAt} />);
  });
  const list = { project, by };
  return (
    <div
      className={classes.lists}
      onPointerEnter={({ pointerType }) => {
        if (pointerType === "mouse") onRead(true);
      }}
      onPointerLeave={() => onRead(false)}
    >
      <NowList
        title="Longer than usual"
        hint={
          `running longer than 95 % of the recent runs of their task, if it has ${ENOUGH}` +
          (lists.running.pageInfo.hasNextPage
            ? `; only the ${COMPARED} oldest running runs are compared`
            : "")
        }
        rows={late}
        total={late.length}
        empty="No run takes longer than usual."
        onAbort={onAbort}
      />
      <NowList
        title="Queued too long"
        hint="not started 10 minutes after their creation"
        rows={queued}
        total={lists.queued.totalCount}
        empty="No run has been queued for more than 10 minutes."
        more={
          <Link to="/runs" search={{ ...list, phase: QUEUED, longer: "10m" }} className="link">
            All of them
          </Link>
        }
        onAbort={onAbort}
      />
      <NowList
        title="Waiting for input"
        hint="runs with a paused action"
        rows={paused}
        total={lists.paused.totalCount}
        empty="No run waits for input."
        more={
          <Link to="/runs" search={{ ...list, paused: true }} className="link">
            All of them
          </Link>
        }
        onAbort={onAbort}
      />
      <NowList
        title="Executor lost or silent"
        hint="unfinished, and nothing was reported for 5 minutes"
        rows={silent}
        total={lists.silent.totalCount}
        empty="Every unfinished run was reported about in the last 5 minutes."
        more={
          <Link to="/runs" search={{ ...list, silent: "5m" }} className="link">
            All of them
          </Link>
        }
        onAbort={onAbort}
      />
      <NowList
        title="Aborts unconfirmed"
        hint="aborted, but the work may still run"
        rows={aborts}
        total={aborts.length}
        empty="The executors have confirmed every abort."
        onAbort={onAbort}
      />
      {viewer === undefined ? null : (
        <NowList
          title="My runs"
          hint="unfinished runs that you created, the oldest first"
          rows={mine}
          total={lists.mine?.totalCount ?? 0}
          empty="None of your runs is unfinished."
          more={
            <Link to="/runs" search={{ by: viewer }} className="link">
              All of them
            </Link>
          }
          onAbort={onAbort}
        />
      )}
    </div>
  );
}
