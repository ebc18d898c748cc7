import { kindOf } from "../actions/failures";
import { matcher, type TreeFilter } from "../actions/visible";
import type { Action, ActionForest } from "../actions/useForest";
import type { Cell, Column, Context } from "./columns";

/** A choice of rows, and how many there are. */
export interface Choice {
  of: string;
  label: string;
  count: number;
}

/** Groups and parents with fewer actions are not offered. */
const FEW = 2;
const MOST_CHOICES = 200;

/** What rows may be restricted to: groups, and parents of actions outside groups. */
export function choicesOf(forest: ActionForest): Choice[] {
  let leaves = 0;
  const groups = new Map<string, number>();
  const parents = new Map<string, number>();
  for (const { action, children, total } of forest.nodes.values()) {
    if (!action) continue;
    if (!total) leaves += 1;
    if (action.group) groups.set(action.group, (groups.get(action.group) ?? 0) + 1);
    const members = children.reduce((sum, { action: child }) => sum + (child ? 1 : 0), 0);
    if (members >= FEW) parents.set(action.name, members);
  }
  const named = (kind: string, counts: Map<string, number>, label: string): Choice[] =>
    [...counts]
      .filter(([, count]) => count >= FEW)
      .map(([name, count]) => ({ of: `${kind}:${name}`, label: `${label} ${name}`, count }));
  const rest = [...named("group", groups, "Group"), ...named("parent", parents, "Children of")];
  rest.sort((one, other) => other.count - one.count);
  return [
    { of: "", label: "Without children", count: leaves },
    { of: "all", label: "All actions", count: forest.size },
    ...rest.slice(0, MOST_CHOICES),
  ];
}

/** The actions of the choice, in the order of the tree's arrival; a filter restricts them further. */
export function rowsOf(
  forest: ActionForest,
  of: string | undefined,
  filter: TreeFilter,
  same: string | undefined,
): Action[] {
  const group = of?.startsWith("group:") ? of.slice(6) : null;
  const parent = of?.startsWith("parent:") ? of.slice(7) : null;
  const error = same === undefined ? null : kindOf(forest.find(same)?.action?.error);
  const matches = matcher(filter);
  const rows: Action[] = [];
  for (const { action, total } of forest.nodes.values()) {
    if (!action || !matches(action)) continue;
    if (
      group !== null ? action.group !== group : parent !== null ? action.parentName !== parent : !of && total
    ) {
      continue;
    }
    if (error !== null && (!action.error || kindOf(action.error) !== error)) continue;
    rows.push(action);
  }
  return rows;
}

/** Text whose digits are compared as numbers: `t-2` before `t-10`. */
const natural = (value: string): string =>
  value.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

/** Numbers before texts, and false before true. */
function rank(value: Cell): number {
  return typeof value === "number" ? 0 : typeof value === "string" ? 1 : 2;
}

/**
 * The rows in the order of a column: numbers as numbers, those without a value last in both directions, and
 * otherwise as they were.
 */
export function sorted(
  rows: readonly Action[],
  column: Column,
  descending: boolean,
  context: Context,
): Action[] {
  const keyed: { row: Action; kind: number; key: number | string }[] = [];
  const none: Action[] = [];
  for (const row of rows) {
    const value = column.value(row, context);
    if (value === null) none.push(row);
    else {
      const key = typeof value === "string" ? natural(value) : Number(value);
      keyed.push({ row, kind: rank(value), key });
    }
  }
  const sign = descending ? -1 : 1;
  keyed.sort((one, other) => {
    if (one.kind !== other.kind) return sign * (one.kind - other.kind);
    return one.key < other.key ? -sign : one.key > other.key ? sign : 0;
  });
  return [...keyed.map(({ row }) => row), ...none];
}

/** The lowest and the highest number of a column. */
export interface Range {
  min: number;
  max: number;
}

/** The range of a column's numbers; null if it has fewer than two different ones. */
export function rangeOf(rows: readonly Action[], column: Column, context: Context): Range | null {
  let [min, max] = [Infinity, -Infinity];
  for (const row of rows) {
    const value = column.value(row, context);
    if (typeof value !== "number") continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return max > min ? { min, max } : null;
}
