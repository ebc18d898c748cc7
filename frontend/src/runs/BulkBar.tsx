import { Button } from "@mantine/core";
import { useState } from "react";
import { type AbortTarget, AbortDialog } from "../aborts/AbortDialog";
import { readFragment } from "../gql";
import type { RunFilter } from "../gql/graphql";
import { may, useGrants } from "../live/access";
import { hasEnded } from "../ui/phases";
import { RunRowFragment } from "./documents";
import classes from "./RunsPage.module.css";
import type { RunList } from "./runList";
import type { Ticks } from "./useTicks";
import type { RunRowData } from "./useRunList";

interface Props {
  list: RunList<RunRowData>;
  ticks: Ticks;
  /** The filter of the page. */
  filter: RunFilter;
}

const runs = (count: number): string => (count === 1 ? "1 run" : `${count.toLocaleString("en")} runs`);

/** What can be done with the selected runs, and what cannot. */
export function BulkBar({ list, ticks, filter }: Props) {
  const grants = useGrants();
  const [target, setTarget] = useState<AbortTarget | null>(null);
  const selected = [...ticks.ids].flatMap((id) => {
    const row = list.get(id);
    return row ? [readFragment(RunRowFragment, row)] : [];
  });
  const unfinished = selected.filter(({ phase }) => !hasEnded(phase));
  const allowed = unfinished.filter(({ project, domain }) => may(grants, "ABORT", project, domain));
  const left: string[] = [];
  const ended = selected.length - unfinished.length;
  const forbidden = unfinished.length - allowed.length;
  if (ended) left.push(`${runs(ended)} ended already`);
  if (forbidden) left.push(`${runs(forbidden)} you may not abort`);
  const abort = (): void =>
    setTarget({
      kind: "runs",
      filter: { ids: allowed.map(({ project, domain, name }) => ({ project, domain, name })) },
      described: ["selected", ...left].join("; "),
    });
  return (
    <div className={classes.bulk} role="region" aria-label="Selected runs">
      <strong role="status">{runs(selected.length)} selected</strong>
      {left.length ? <span className={classes.left}>{left.join(", ")}</span> : null}
      <span className={classes.space} />
      <Button size="compact-sm" color="red" disabled={!allowed.length} onClick={abort}>
        {allowed.length
          ? `Abort ${allowed.length === selected.length ? "" : "the other "}${runs(allowed.length)}…`
          : "Abort…"}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        onClick={() => setTarget({ kind: "runs", filter, described: "by the filter of this page" })}
      >
        Abort all that match…
      </Button>
      <Button size="compact-sm" variant="default" onClick={ticks.clear}>
        Clear
      </Button>
      {target ? <AbortDialog target={target} onClose={() => setTarget(null)} /> : null}
    </div>
  );
}
