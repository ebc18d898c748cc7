import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo } from "react";
import { useQuery } from "urql";
import { problemOf } from "../live/errors";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { useTitle } from "../ui/title";
import { printSide, readSide, type Side } from "../live/sides";
import { Choose } from "./Choose";
import classes from "./ComparePage.module.css";
import { Comparison } from "./Comparison";
import { ComparedRun, RunBefore } from "./documents";
import { PairDetails } from "./PairDetails";

const route = getRouteApi("/compare");

/** Compares two runs, or two actions: what differs, and where they part. */
export function ComparePage() {
  const search = route.useSearch();
  const [before, after] = useMemo(() => [readSide(search.a), readSide(search.b)], [search.a, search.b]);
  useTitle(after ? `Compare ${after.action ?? after.name}` : "Compare");
  const isForAction = before?.action !== undefined && after?.action !== undefined;
  return (
    <main className={classes.page}>
      <header className={classes.header}>
        <h1>Compare</h1>
        <Choose key={`${search.a ?? ""}\n${search.b ?? ""}`} before={before} after={after} />
      </header>
      {before && after ? (
        isForAction ? (
          <PairDetails
            before={{ run: before, name: before.action ?? "" }}
            after={{ run: after, name: after.action ?? "" }}
          />
        ) : (
          <Comparison before={before} after={after} />
        )
      ) : after && search.with ? (
        <FindBefore after={after} what={search.with} />
      ) : (
        <EmptyNotice title="Choose two runs or two actions">
          Paste the addresses of their pages above, or write project/domain/name, and for an action
          project/domain/name/action.
        </EmptyNotice>
      )}
    </main>
  );
}

const WORKED = ["SUCCEEDED", "RECOVERED"] as const;

/** Looks for the run before, and goes on with it. */
function FindBefore({ after, what }: { after: Side; what: "previous" | "success" }) {
  const navigate = route.useNavigate();
  const { project, domain, name } = after;
  const [{ data: own, error }] = useQuery({
    query: ComparedRun,
    variables: { id: { project, domain, name } },
  });
  const run = own?.run;
  const same = run?.task
    ? { taskName: run.task.name }
    : run?.functionName
      ? { functionName: run.functionName }
      : null;
  const filter = {
    ...{ project, domain, ...same, endDate: run?.triggeredAt ?? run?.createdAt },
    ...(what === "success" ? { phases: [...WORKED] } : {}),
  };
  const [{ data, error: problem }] = useQuery({ query: RunBefore, variables: { filter }, pause: !same });
  const found = data?.runs.nodes.find((each) => each.name !== name);
  useEffect(() => {
    if (!found) return;
    const a = printSide({ ...found, action: after.action });
    void navigate({ search: (now) => ({ ...now, a, with: undefined }), replace: true });
  }, [found, after.action, navigate]);
  const failed = error ?? problem;
  if (failed) return <ErrorNotice title="The run before could not be read" problem={problemOf(failed)} />;
  if (own && !run) return <EmptyNotice title={`There is no run ${name}`} />;
  if (run && !same) {
    return (
      <EmptyNotice title="The run before is not known">
        {name} names no task and no function. Enter above what to compare it with.
      </EmptyNotice>
    );
  }
  if (data && !found) {
    return (
      <EmptyNotice title={what === "success" ? "No run before succeeded" : "There is no run before"}>
        {name} is the first one of {run?.task?.name ?? run?.functionName}
        {what === "success" ? " that is known, or all before failed" : ""}.
      </EmptyNotice>
    );
  }
  return <LoadingNotice what="the run before" />;
}
