import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useQuery } from "urql";
import { type Action, useForest } from "../actions/useForest";
import { problemOf } from "../live/errors";
import { runParams } from "../live/paths";
import { useSearchChanges } from "../live/useSearchChanges";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { describeCounts, PhaseBar } from "../ui/PhaseBar";
import { SearchField } from "../ui/SearchField";
import { Time } from "../ui/Time";
import type { Side } from "../live/sides";
import classes from "./ComparePage.module.css";
import { type Difference, KINDS } from "./difference";
import { DivergenceNotice } from "./DivergenceNotice";
import { ComparedRun } from "./documents";
import { Facts } from "./Facts";
import { factsOfRuns, type Run } from "./facts";
import { PairDetails } from "./PairDetails";
import { nameOf, PairList } from "./PairList";
import { useDifferences } from "./useDifferences";

const route = getRouteApi("/compare");

/** What differs between two runs. */
export function Comparison({ before, after }: { before: Side; after: Side }) {
  const [old, reloadOld] = useRun(before);
  const [now, reloadNow] = useRun(after);
  const error = old.error ?? now.error;
  if (error) {
    const retry = (): void => {
      reloadOld();
      reloadNow();
    };
    return <ErrorNotice title="The runs could not be read" problem={problemOf(error)} retry={retry} />;
  }
  if (!old.data || !now.data) return <LoadingNotice what="the runs" />;
  const [one, other] = [old.data.run, now.data.run];
  if (!one || !other) {
    const { project, domain, name } = one ? after : before;
    return (
      <EmptyNotice title={`There is no run ${name}`}>
        In {project}, {domain}. It may have been removed.
      </EmptyNotice>
    );
  }
  return (
    <>
      <div className={classes.sides}>
        <SideCard run={one} label="Before" />
        <SideCard run={other} label="After" />
      </div>
      <Facts facts={factsOfRuns(one, other)} label="Attributes of the runs" />
      <Actions before={one} after={other} />
    </>
  );
}

const useRun = ({ project, domain, name }: Side) =>
  useQuery({
    query: ComparedRun,
    variables: { id: { project, domain, name } },
    requestPolicy: "cache-and-network",
  });

function SideCard({ run, label }: { run: Run; label: string }) {
  return (
    <section className={classes.side} aria-label={label}>
      <span className="faint small">{label}</span>
      <Link to="/runs/$project/$domain/$name" params={runParams(run)} className={`link ${classes.run}`}>
        {run.name}
      </Link>
      <PhaseBadge phase={run.phase} />
      <span className="faint small">
        <Time value={run.createdAt} />
      </span>
      <PhaseBar counts={run.phaseCounts} label={`Actions of ${run.name}`} />
      <span className="faint small">{describeCounts(run.phaseCounts)}</span>
    </section>
  );
}

function Actions({ before, after }: { before: Run; after: Run }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { type } = useSearchChanges<typeof search>((next) => void navigate(next));
  const [old, now] = [useForest(before, false), useForest(after, false)];
  const differences = useDifferences(old.forest, now.forest);
  const shown = useMemo(
    () => (differences ? filtered(differences.all, search.show, search.q) : []),
    [differences, search.show, search.q],
  );
  const problem = old.problem ?? now.problem;
  const failed = old.problem ? old : now;
  if (problem)
    return <ErrorNotice title="The actions could not be read" problem={problem} retry={failed.retry} />;
  if (!differences) return <LoadingNotice what="the actions of both runs" />;
  const choose = (action: string | undefined): void =>
    void navigate({ search: (all) => ({ ...all, action }) });
  const chosen = search.action;
  const pair = chosen === undefined ? undefined : differences.all.find((each) => nameOf(each) === chosen);
  const [one, other] = pair
    ? [pair.before?.name, pair.after?.name]
    : chosen === undefined
      ? [before.rootAction.name, after.rootAction.name]
      : [chosen, chosen];
  return (
    <>
      <DivergenceNotice divergence={differences.divergence} onChoose={choose} />
      <div className={classes.bar}>
        <SearchField
          label="Search the actions"
          placeholder="Search actions"
          value={search.q ?? ""}
          onChange={(q) => type({ ...search, q: q || undefined })}
        />
        <div className={classes.chips} role="group" aria-label="Only this kind of difference">
          {KINDS.filter(({ kind }) => differences.counts.has(kind)).map(({ kind, label }) => (
            <button
              key={kind}
              type="button"
              className={classes.chip}
              aria-pressed={search.show === kind}
              onClick={() =>
                void navigate({
                  search: (all) => ({ ...all, show: search.show === kind ? undefined : kind }),
                })
              }
            >
              {label} <span className="number">{differences.counts.get(kind)?.toLocaleString("en")}</span>
            </button>
          ))}
        </div>
      </div>
      <div className={classes.split}>
        <div className={classes.actions}>
          {shown.length ? (
            <PairList differences={shown} chosen={chosen} onChoose={choose} />
          ) : (
            <EmptyNotice title="No action matches">Change the search or the kind above.</EmptyNotice>
          )}
        </div>
        <PairDetails
          key={`${one ?? ""}\n${other ?? ""}`}
          before={one === undefined ? null : { run: before, name: one }}
          after={other === undefined ? null : { run: after, name: other }}
          isRun={chosen === undefined}
          onClose={chosen === undefined ? undefined : () => choose(undefined)}
        />
      </div>
    </>
  );
}

function filtered(
  all: readonly Difference<Action>[],
  kind: string | undefined,
  typed: string | undefined,
): readonly Difference<Action>[] {
  const text = typed?.trim().toLowerCase();
  if (!kind && !text) return all;
  return all.filter(
    (each) =>
      (!kind || each.kind === kind) &&
      (!text || [each.before, each.after].some((action) => action?.name.toLowerCase().includes(text))),
  );
}
