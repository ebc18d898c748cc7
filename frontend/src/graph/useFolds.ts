import { useCallback, useMemo, useState } from "react";
import { type GraphFolds, ROOM, RUN } from "./build";
import type { Graph } from "./model";

export interface FoldsControl {
  now: GraphFolds;
  toggle: (id: string, isOpen: boolean) => void;
  /** Expands what is drawn by one level, or collapses all. */
  toggleAll: (graph: Graph, isOpen: boolean) => void;
  /** Draws more children of a node, or of the run. */
  showMore: (parent: string | null) => void;
}

/** What is expanded in the graph. */
export function useFolds(shown: string | undefined): FoldsControl {
  const [byUser, setByUser] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [more, setMore] = useState<ReadonlyMap<string, number>>(new Map());
  const now = useMemo(() => ({ byUser, more, shown }), [byUser, more, shown]);
  const toggle = useCallback(
    (id: string, isOpen: boolean) => setByUser((before) => new Map(before).set(id, isOpen)),
    [],
  );
  const toggleAll = useCallback((graph: Graph, isOpen: boolean) => {
    const ids = [...graph.nodes.values()].filter(({ hasChildren }) => hasChildren).map(({ id }) => id);
    setByUser((before) => new Map([...before, ...ids.map((id) => [id, isOpen] as const)]));
  }, []);
  const showMore = useCallback((parent: string | null) => {
    const id = parent ?? RUN;
    setMore((before) => new Map(before).set(id, (before.get(id) ?? 0) + ROOM));
  }, []);
  return useMemo(() => ({ now, toggle, toggleAll, showMore }), [now, toggle, toggleAll, showMore]);
}
