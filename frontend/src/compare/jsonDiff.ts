import { type Json, isLeaf } from "../ui/json";

/** A value that differs, with what differs in it. */
export interface JsonChange {
  key: string | number | null;
  /** `inside`: both are objects or both are arrays, and differ in `children`. */
  kind: "added" | "removed" | "changed" | "inside";
  before?: Json;
  after?: Json;
  children: JsonChange[];
  /** The keys of the equal entries. */
  equal: (string | number)[];
}

export interface JsonDiff {
  /** Null if the documents are equal. */
  change: JsonChange | null;
  /** How many values differ. */
  count: number;
  /** Whether comparing stopped at the limit: more may differ. */
  isCut: boolean;
}

/** Values that are visited at most: a document of some megabytes. */
const MOST_VALUES = 200_000;
/** Differences that are found at most. */
const MOST_CHANGES = 2_000;
/** From this depth on values are compared as text. */
const DEEPEST = 100;

/** The difference of two documents, key by key; of arrays the equal start and end are left out first. */
export function diffJson(before: Json | undefined, after: Json | undefined): JsonDiff {
  const state = { values: 0, count: 0, isCut: false };

  const compare = (
    key: string | number | null,
    one: Json | undefined,
    other: Json | undefined,
    depth: number,
  ): JsonChange | null => {
    if (one === other) return null;
    if (state.values >= MOST_VALUES || state.count >= MOST_CHANGES) {
      state.isCut = true;
      return null;
    }
    state.values += 1;
    const leaf = (kind: JsonChange["kind"]): JsonChange => {
      state.count += 1;
      return { key, kind, before: one, after: other, children: [], equal: [] };
    };
    if (one === undefined) return leaf("added");
    if (other === undefined) return leaf("removed");
    if (isLeaf(one) || isLeaf(other) || Array.isArray(one) !== Array.isArray(other)) return leaf("changed");
    if (depth >= DEEPEST) return JSON.stringify(one) === JSON.stringify(other) ? null : leaf("changed");
    const children: JsonChange[] = [];
    const equal: (string | number)[] = [];
    for (const [name, left, right] of Array.isArray(one) && Array.isArray(other)
      ? aligned(one, other)
      : keyed(one, other)) {
      const change = compare(name, left, right, depth + 1);
      if (change) children.push(change);
      else if (state.isCut) break;
      else equal.push(name);
    }
    return children.length ? { key, kind: "inside", before: one, after: other, children, equal } : null;
  };

  /** The entries of two arrays. What was inserted or removed in the middle moves nothing else. */
  const aligned = (one: Json[], other: Json[]): [number, Json | undefined, Json | undefined][] => {
    const entries: [number, Json | undefined, Json | undefined][] = [];
    if (one.length === other.length) return one.map((value, at) => [at, value, other[at]]);
    const shorter = Math.min(one.length, other.length);
    let start = 0;
    while (start < shorter && isEqual(one[start], other[start])) start += 1;
    let end = 0;
    while (end < shorter - start && isEqual(one[one.length - 1 - end], other[other.length - 1 - end]))
      end += 1;
    for (let at = 0; at < start; at += 1) entries.push([at, one[at], one[at]]);
    for (let at = start; at < Math.max(one.length, other.length) - end; at += 1) {
      entries.push([
        at,
        at < one.length - end ? one[at] : undefined,
        at < other.length - end ? other[at] : undefined,
      ]);
    }
    for (let at = other.length - end; at < other.length; at += 1) entries.push([at, other[at], other[at]]);
    return entries;
  };

  const isEqual = (one: Json | undefined, other: Json | undefined): boolean => {
    const count = state.count;
    const change = compare(null, one, other, 0);
    state.count = count;
    return !change;
  };

  const change = compare(null, before, after, 0);
  return { change, count: state.count, isCut: state.isCut };
}

/** The entries of two objects: those of the later one in its order, then those that are missing there. */
function* keyed(one: Json, other: Json): Generator<[string, Json | undefined, Json | undefined]> {
  const [old, now] = [one as Record<string, Json>, other as Record<string, Json>];
  for (const key in now) yield [key, Object.hasOwn(old, key) ? old[key] : undefined, now[key]];
  for (const key in old) if (!Object.hasOwn(now, key)) yield [key, old[key], undefined];
}

/** Characters of a value that are shown. */
const SHOWN = 240;
const AROUND = 60;

/** Two values as text; of long ones what is around their first difference. */
export function excerpts(before: Json | undefined, after: Json | undefined): [string, string] {
  const [one, other] = [textOf(before), textOf(after)];
  let same = 0;
  if (before !== undefined && after !== undefined) {
    while (same < Math.min(one.length, other.length) && one[same] === other[same]) same += 1;
  }
  const from = one.length > SHOWN || other.length > SHOWN ? Math.max(0, same - AROUND) : 0;
  const cut = (text: string): string => {
    const end = from + SHOWN;
    return `${from ? "…" : ""}${text.slice(from, end)}${text.length > end ? `… (${text.length.toLocaleString("en")} characters)` : ""}`;
  };
  return [cut(one), cut(other)];
}

const textOf = (value: Json | undefined): string => (value === undefined ? "" : JSON.stringify(value));
