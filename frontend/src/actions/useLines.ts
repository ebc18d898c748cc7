import { useCallback, useMemo, useState } from "react";
import { type Action, type ActionForest, useForestVersion } from "./useForest";
import { type Line, type TreeFilter, isFiltering, isOpenAtFirst, visibleLines } from "./visible";

/** The lines of the tree that are shown, which of them are open, and where the keyboard is. */
export interface Lines {
  shown: readonly Line<Action>[];
  isFiltered: boolean;
  /** The key of the line that the keyboard is at. */
  cursor: string | null;
  setCursor: (key: string) => void;
  toggle: (key: string, isOpen: boolean) => void;
  toggleAll: (isOpen: boolean) => void;
}

/** The lines of a forest; what is above the action `selected` is open, once that is there. */
export function useLines(forest: ActionForest, filter: TreeFilter, selected: string | undefined): Lines {
  const [byUser, setByUser] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [cursor, setCursor] = useState<string | null>(null);
  const structure = useForestVersion(forest, 150, "structure");
  const version = useForestVersion(forest, 500, "version");
  const [revealed, setRevealed] = useState<{ of: ActionForest; name: string | undefined }>();
  if (revealed?.of !== forest || revealed.name !== selected) {
    const above = selected === undefined ? [] : pathTo(forest, selected);
    if (above) {
      setRevealed({ of: forest, name: selected });
      if (selected !== undefined) {
        setByUser((before) => new Map([...before, ...above.map((key) => [key, true] as const)]));
        setCursor(forest.find(selected)?.key ?? null);
      }
    }
  }
  const isFiltered = isFiltering(filter);
  // Which lines match a phase changes with every update, the lines themselves only with their number.
  const changes = filter.phases.length ? version : structure;
  const settled = useSettled(forest, structure);
  const shown = useMemo(
    () => visibleLines(forest, { byUser, settled }, filter),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place
    [forest, byUser, settled, filter, changes],
  );
  const toggle = useCallback(
    (key: string, isOpen: boolean) => setByUser((before) => new Map(before).set(key, isOpen)),
    [],
  );
  const toggleAll = useCallback(
    (isOpen: boolean) =>
      setByUser(
        new Map([...forest.nodes.values()].filter((node) => node.parent).map(({ key }) => [key, isOpen])),
      ),
    [forest],
  );
  return { shown, isFiltered, cursor, setCursor, toggle, toggleAll };
}

/** The keys of all that is above an action; null while that is not known. */
function pathTo(forest: ActionForest, name: string): string[] | null {
  const node = forest.find(name);
  const keys: string[] = [];
  let top = node ?? null;
  for (let above = node?.parent ?? null; above; above = above.parent) {
    keys.push(above.key);
    top = above;
  }
  // What lies below a parent that is not there yet is not among the lines.
  return top && !top.action?.parentName ? keys : null;
}

/**
 * Which groups are open that nobody touched: settled when a group is first seen after the run was read, so
 * that none folds by itself because more members came.
 */
function useSettled(forest: ActionForest, structure: number): ReadonlyMap<string, boolean> {
  const [settled, setSettled] = useState<{ of: ActionForest; at: number; byKey: Map<string, boolean> }>();
  if (forest.synced && (settled?.of !== forest || settled.at !== structure)) {
    const byKey = new Map(settled?.of === forest ? settled.byKey : []);
    for (const node of forest.nodes.values()) {
      if (!node.action && !byKey.has(node.key)) byKey.set(node.key, isOpenAtFirst(node, forest.size));
    }
    setSettled({ of: forest, at: structure, byKey });
  }
  return settled?.of === forest ? settled.byKey : NONE;
}

const NONE: ReadonlyMap<string, boolean> = new Map();
