import { useCallback, useMemo, useState } from "react";
import { type Action, type ActionForest, useForestVersion } from "./useForest";
import { type Line, type TreeFilter, isFiltering, isOpenAtFirst, visibleLines } from "./visible";

/** The visible lines of the tree, their expanded state and the keyboard cursor. */
export interface Lines {
  shown: readonly Line<Action>[];
  isFiltered: boolean;
  /** The key of the line at the keyboard cursor. */
  cursor: string | null;
  setCursor: (key: string) => void;
  toggle: (key: string, isOpen: boolean) => void;
  toggleAll: (isOpen: boolean) => void;
}

/** The lines of a forest; the ancestors of `selected` are expanded once it has arrived. */
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
  // With a phase filter the lines change with every update, otherwise only with the structure.
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

/** The keys of an action's ancestors; null while unknown. */
function pathTo(forest: ActionForest, name: string): string[] | null {
  const node = forest.find(name);
  const keys: string[] = [];
  let top = node ?? null;
  for (let above = node?.parent ?? null; above; above = above.parent) {
    keys.push(above.key);
    top = above;
  }
  // Descendants of a parent that has not arrived are not listed.
  return top && !top.action?.parentName ? keys : null;
}

/**
 * The default expanded state of groups: decided when a group is first seen after the snapshot, so that none
 * collapses by itself when members are added.
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
