import type { ActionData, Forest } from "../actions/forest";
import { withoutNumbers } from "../actions/failures";

/** An action of each run that stand for the same step; one of them is missing if only the other run has it. */
export interface Pair<Data extends ActionData = ActionData> {
  before: Data | null;
  after: Data | null;
  /** Whether the names are equal; otherwise they were matched by their place below the same parent. */
  byName: boolean;
  /** The number of ancestors. */
  depth: number;
}

/** Steps between two chances to pause. */
const STEP = 500;

/**
 * Matches the actions of two runs: the roots, then those of equal names, then those below matching parents whose group
 * and name are equal but for numbers and ids, in order of creation. A generator, since it visits all actions.
 */
export function* matchActions<Data extends ActionData>(
  before: Forest<Data>,
  after: Forest<Data>,
): Generator<void, Pair<Data>[]> {
  const pairs: Pair<Data>[] = [];
  const ofBefore = new Map<string, Pair<Data>>();
  const ofAfter = new Map<string, Pair<Data>>();
  const add = (one: Data | null, other: Data | null, depth: number): void => {
    const pair = { before: one, after: other, byName: !one || !other || one.name === other.name, depth };
    pairs.push(pair);
    if (one) ofBefore.set(one.name, pair);
    if (other) ofAfter.set(other.name, pair);
  };
  const [olds, news] = [yield* byDepth(before), yield* byDepth(after)];
  const depths = Math.max(olds.length, news.length);
  const [oldRoots, newRoots] = [olds[0] ?? [], news[0] ?? []];
  if (oldRoots.length === 1 && newRoots.length === 1) add(oldRoots[0] ?? null, newRoots[0] ?? null, 0);
  let steps = 0;
  for (const [depth, actions] of news.entries()) {
    for (const action of actions) {
      if ((steps += 1) % STEP === 0) yield;
      const same = before.find(action.name)?.action;
      if (same && !ofAfter.has(action.name) && !ofBefore.has(same.name)) add(same, action, depth);
    }
  }
  // Parents before their children, which are matched below matching parents only.
  for (let depth = 0; depth < depths; depth += 1) {
    const places = new Map<string, Data[]>();
    const numbers = new Map<Pair<Data> | undefined, number>();
    const placeOf = (action: Data, parents: ReadonlyMap<string, Pair<Data>>): string => {
      const parent = action.parentName ? parents.get(action.parentName) : undefined;
      const isMatched = !!parent?.before && !!parent.after;
      if (action.parentName && !isMatched) return "";
      const number = numbers.get(parent) ?? numbers.size;
      numbers.set(parent, number);
      return `${number}\t${action.group ?? ""}\t${withoutNumbers(action.name)}`;
    };
    for (const action of olds[depth] ?? []) {
      if ((steps += 1) % STEP === 0) yield;
      if (ofBefore.has(action.name)) continue;
      const place = placeOf(action, ofBefore);
      const known = places.get(place);
      if (known) known.push(action);
      else places.set(place, [action]);
    }
    const next = new Map<string, number>();
    for (const action of news[depth] ?? []) {
      if ((steps += 1) % STEP === 0) yield;
      if (ofAfter.has(action.name)) continue;
      const place = placeOf(action, ofAfter);
      const at = next.get(place) ?? 0;
      const same = place ? places.get(place)?.[at] : undefined;
      next.set(place, at + 1);
      add(same ?? null, action, depth);
    }
    for (const action of olds[depth] ?? []) if (!ofBefore.has(action.name)) add(action, null, depth);
  }
  return pairs;
}

/** The actions by the number of their ancestors, in the order of the tree. */
function* byDepth<Data extends ActionData>(forest: Forest<Data>): Generator<void, Data[][]> {
  const depths: Data[][] = [];
  let level = [...forest.roots];
  let steps = 0;
  while (level.length) {
    const actions: Data[] = [];
    const below: typeof level = [];
    for (const line of level) {
      if ((steps += 1) % STEP === 0) yield;
      if (line.action) actions.push(line.action);
      for (const child of line.children) {
        // The members of a group have its depth.
        if (child.action) below.push(child);
        else for (const member of child.children) below.push(member);
      }
    }
    depths.push(actions);
    level = below;
  }
  return depths;
}
