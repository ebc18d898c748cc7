import type { ActionData } from "./forest";

/**
 * The critical path: from the action that ended last, back through the dependency that ended last before it.
 * Empty without dependencies.
 */
export function criticalPath(actions: Iterable<ActionData>): Set<string> {
  const byName = new Map<string, ActionData>();
  for (const action of actions) byName.set(action.name, action);
  const isNeeded = new Set<string>();
  for (const { dependencies } of byName.values()) for (const name of dependencies) isNeeded.add(name);

  const end = (action: ActionData): number =>
    action.endedAt ? Date.parse(action.endedAt) : action.startedAt ? Infinity : -Infinity;
  const last = (candidates: Iterable<ActionData>): ActionData | undefined => {
    let latest: ActionData | undefined;
    for (const action of candidates) if (!latest || end(action) > end(latest)) latest = action;
    return latest;
  };

  const path = new Set<string>();
  const linked = [...byName.values()].filter(
    ({ name, dependencies }) => dependencies.length > 0 || isNeeded.has(name),
  );
  let next = last(linked.filter((action) => end(action) > -Infinity));
  while (next && !path.has(next.name)) {
    path.add(next.name);
    next = last(next.dependencies.flatMap((name) => byName.get(name) ?? []));
  }
  return path;
}
