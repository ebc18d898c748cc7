import type { ActionData, Forest, TreeNode } from "./forest";

/** An error, as lists show it. */
export interface ShownError {
  code?: string | null | undefined;
  summary: string;
}

/** What the tree needs of an action, with its error. */
export interface FailableData extends ActionData {
  error?: ShownError | null | undefined;
}

/** Actions that failed for the same reason. */
export interface FailureGroup {
  key: string;
  error: ShownError | null;
  count: number;
  /** The name of the one that failed first. */
  first: string;
}

const FAILED = ["FAILED", "TIMED_OUT"];

export const hasFailed = (phase: string): boolean => FAILED.includes(phase);

/** Words of hexadecimal digits with a decimal one: ids and addresses. */
const HEXADECIMAL = /\b(?:0x)?[\da-f]*\d[\da-f]*(?:-[\da-f]+)*\b/gi;

/** The text with `#` for numbers, addresses and ids. */
export function withoutNumbers(text: string): string {
  return text.replace(HEXADECIMAL, "#").replace(/\d+/g, "#");
}

/** Equal for errors that differ in numbers, addresses and ids only. */
export function kindOf(error: ShownError | null | undefined): string {
  return error ? `${error.code ?? ""}\n${withoutNumbers(error.summary)}` : "";
}

/**
 * The failed actions without a failed one below them, by their errors, the largest group first: what is above failed
 * because of them. Empty if only the root itself failed.
 */
export function failureGroups<Data extends FailableData>(forest: Forest<Data>): FailureGroup[] {
  const groups = new Map<string, FailureGroup & { at: string }>();
  const hasFailedBelow = ({ counts }: TreeNode<Data>): boolean => FAILED.some((phase) => counts.has(phase));
  if (!forest.roots.some(hasFailedBelow)) return [];
  for (const node of forest.nodes.values()) {
    const { action } = node;
    if (!action || !hasFailed(action.phase) || hasFailedBelow(node)) continue;
    const key = kindOf(action.error);
    const at = action.endedAt ?? action.createdAt;
    const known = groups.get(key);
    if (!known) {
      groups.set(key, { key, error: action.error ?? null, count: 1, first: action.name, at });
      continue;
    }
    known.count += 1;
    if (at < known.at) Object.assign(known, { at, first: action.name, error: action.error ?? null });
  }
  return [...groups.values()].sort((one, other) => other.count - one.count || (one.at < other.at ? -1 : 1));
}

/** A count of error groups that are not shown. */
export const moreErrors = (count: number): string =>
  count === 1 ? "1 more error" : `${count.toLocaleString("en")} more errors`;
