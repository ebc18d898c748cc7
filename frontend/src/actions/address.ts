import { text } from "../live/search";
import type { Span } from "./useZoom";

const TABS = ["attempts", "logs", "files", "metrics", "events", "details", "spec", "state"] as const;

/** A tab of an action's panel. */
export type ActionTab = (typeof TABS)[number];

/** A tab of the query string; undefined for the first one. */
export function readTab(value: unknown): ActionTab | undefined {
  const tab = TABS.find((name) => name === text(value));
  return tab === "attempts" ? undefined : tab;
}

/** The visible part of a timeline in the query string: `FROM-TO`, in milliseconds since 1970. */
export function readSpan(value: unknown): Span | null {
  const found = /^(\d{1,15})-(\d{1,15})$/.exec(text(value) ?? "");
  const span = { from: Number(found?.[1]), to: Number(found?.[2]) };
  return span.to > span.from ? span : null;
}

export const printSpan = (span: Span | null): string | undefined =>
  span ? `${Math.floor(span.from)}-${Math.ceil(span.to)}` : undefined;
