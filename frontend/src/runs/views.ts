/** The views of a run's actions, in the order of their switch. The first one has no name in the address. */
export const VIEWS = [
  { name: "tree", label: "Tree" },
  { name: "timeline", label: "Timeline" },
  { name: "graph", label: "Graph" },
  { name: "table", label: "Table" },
] as const;

export type View = (typeof VIEWS)[number]["name"];

/** A view other than the first one; undefined for that. */
export type OtherView = Exclude<View, "tree">;

/** The view that an address names. */
export function readView(value: unknown): OtherView | undefined {
  const [, ...others] = VIEWS;
  return others.find(({ name }) => name === value)?.name;
}
