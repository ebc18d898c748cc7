import { text } from "../live/search";
import { KINDS, type Kind } from "./difference";

/** The search parameters of a comparison. */
export interface CompareSearch {
  /** The sides, as `project/domain/name` with or without an action: what was before, and what is compared with it. */
  a?: string | undefined;
  b?: string | undefined;
  /** Which run before `b` to compare with, if there is no `a`. */
  with?: "previous" | "success" | undefined;
  /** Only differences of this kind. */
  show?: Kind | undefined;
  q?: string | undefined;
  /** The action whose details are shown. */
  action?: string | undefined;
}

export function readCompareSearch(query: Record<string, unknown>): CompareSearch {
  return {
    a: text(query.a),
    b: text(query.b),
    with: query.with === "previous" || query.with === "success" ? query.with : undefined,
    show: KINDS.find(({ kind }) => kind === query.show)?.kind,
    q: text(query.q),
    action: text(query.action),
  };
}
