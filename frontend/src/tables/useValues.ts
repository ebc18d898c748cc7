import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { useApi, watchDocument } from "../live/api";
import type { Problem } from "../live/errors";
import type { RunName } from "../live/paths";
import type { Cell, Column } from "./columns";
import { WatchValues } from "./documents";

/** The time between two notifications of new values, in milliseconds. */
const PACE = 250;

/** The values of actions in columns of their specs, outputs and metrics. */
export class Values {
  /** Increases with new values. */
  version = 0;
  synced = false;
  private readonly rows = new Map<string, readonly Cell[]>();
  private readonly places: ReadonlyMap<string, number>;
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `before` has the values of the same columns until all have arrived. */
  constructor(
    ids: readonly string[],
    private before: Values | null,
  ) {
    if (before) before.before = null;
    this.places = new Map(ids.map((id, place) => [id, place]));
  }

  valueOf = (name: string, column: string): Cell => {
    const place = this.places.get(column);
    const row = place === undefined ? undefined : this.rows.get(name);
    return (place === undefined ? undefined : row?.[place]) ?? this.before?.valueOf(name, column) ?? null;
  };

  put(rows: readonly { name: string; columnValues: readonly unknown[] }[], synced: boolean): void {
    for (const { name, columnValues } of rows) this.rows.set(name, columnValues as readonly Cell[]);
    if (synced) {
      this.synced = true;
      this.before = null;
    }
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.version += 1;
      for (const listener of [...this.listeners]) listener();
    }, PACE);
  }

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** The values of a run's actions in the columns that are read from the server, live. */
export function useValues({ project, domain, name }: RunName, columns: readonly Column[]) {
  const api = useApi();
  const ids = columns.flatMap(({ id, read }) => (read ? [id] : [])).join("\n");
  const [values, setValues] = useState(() => ({ ids: "", of: new Values([], null) }));
  if (values.ids !== ids) setValues({ ids, of: new Values(ids.split("\n"), values.of) });
  const [problem, setProblem] = useState<{ of: Values; problem: Problem } | null>(null);
  const current = values.of;
  useEffect(() => {
    const read = columns.flatMap(({ read }) => read ?? []);
    if (!read.length) return;
    let cursor: string | null = null;
    return watchDocument(
      api,
      WatchValues,
      () => ({ run: { project, domain, name }, after: cursor, columns: read }),
      {
        next: ({ actions: { kind, cursor: at, actions } }) => {
          current.put(actions, kind === "SYNCED");
          if (kind === "RESYNC") cursor = null;
          if (kind === "SYNCED" || kind === "CHANGE") cursor = at;
        },
        failed: (problem) => setProblem({ of: current, problem }),
      },
    );
    // The values are new when the columns are others.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [api, current, project, domain, name]);
  const version = useSyncExternalStore(
    useCallback((listener) => current.listen(listener), [current]),
    () => current.version,
  );
  return { values: current, version, problem: problem?.of === current ? problem.problem : null };
}
