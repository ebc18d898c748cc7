import type { ActionColumnInput, ColumnSource } from "../gql/graphql";
import type { Action } from "../actions/useForest";
import { readProgress } from "../actions/ProgressLine";
import { reasonOf } from "../actions/SkipReason";
import { hasEnded, phaseStyle, PHASES } from "../ui/phases";

/** A value of a cell. */
export type Cell = string | number | boolean | null;

/** What values depend on beside the action. */
export interface Context {
  /** In milliseconds since 1970. */
  now: number;
  /** When the run ended; null while it is in progress. */
  runEnd: number | null;
  /** The value of an action in a column of its spec, outputs or metrics. */
  valueOf: (name: string, column: string) => Cell;
}

export interface Column {
  id: string;
  title: string;
  /** Explains the title. */
  hint?: string;
  kind: "text" | "number" | "duration" | "time" | "phase" | "progress";
  /** As reported of a metric. */
  unit?: string | null;
  width: number;
  /** What is sorted by, compared and saved. Durations and times are in milliseconds. */
  value: (action: Action, context: Context) => Cell;
  /** Set for columns that are read from the server. */
  read?: ActionColumnInput;
}

const ms = (time: string | null | undefined): number | null => (time ? Date.parse(time) : null);

/** From start to end, without waiting; as the tree shows it. */
function runTime({ phase, createdAt, startedAt, endedAt }: Action, { now, runEnd }: Context): number | null {
  const [started, ended] = [ms(startedAt), ms(endedAt)];
  if (phase === "SKIPPED" && started === null) return null;
  if (ended !== null) return Math.max(0, ended - (started ?? Date.parse(createdAt)));
  if (started === null || hasEnded(phase)) return null;
  return Math.max(0, (runEnd ?? now) - started);
}

/** From creation to start. A retry has waited between its attempts too, so its time is unknown. */
function queuedTime({ phase, attempts, createdAt, startedAt, endedAt }: Action, context: Context) {
  const started = ms(startedAt);
  if (attempts > 1) return null;
  if (started === null && (endedAt || hasEnded(phase))) return null;
  return Math.max(0, (started ?? context.runEnd ?? context.now) - Date.parse(createdAt));
}

const BUILT_IN: readonly Column[] = [
  { id: "name", title: "Action", kind: "text", width: 220, value: ({ name }) => name },
  {
    id: "phase",
    title: "Phase",
    kind: "phase",
    width: 118,
    value: ({ phase }) => (PHASES.includes(phase) ? PHASES.indexOf(phase) : PHASES.length),
  },
  { id: "group", title: "Group", kind: "text", width: 120, value: ({ group }) => group ?? null },
  { id: "attempts", title: "Attempts", kind: "number", width: 84, value: ({ attempts }) => attempts },
  {
    id: "queued",
    title: "Queued",
    hint: "From creation to the start of the first attempt",
    kind: "duration",
    width: 104,
    value: queuedTime,
  },
  {
    id: "run",
    title: "Run time",
    hint: "From start to end, without waiting",
    kind: "duration",
    width: 116,
    value: runTime,
  },
  { id: "started", title: "Started", kind: "time", width: 132, value: ({ startedAt }) => ms(startedAt) },
  {
    id: "progress",
    title: "Progress",
    hint: "In percent, or the amount that is done if the whole is unknown",
    kind: "progress",
    width: 150,
    value: ({ progress }) => {
      if (!progress) return null;
      const { done, total } = readProgress(progress);
      return total != null && total > 0 ? (done / total) * 100 : done;
    },
  },
  {
    id: "error",
    title: "Error",
    kind: "text",
    width: 260,
    value: ({ error }) => (error ? reasonOf(error) : null),
  },
];

export const builtIn: ReadonlyMap<string, Column> = new Map(BUILT_IN.map((column) => [column.id, column]));

const SOURCES: Record<string, ColumnSource> = { spec: "SPEC", outputs: "OUTPUTS", metrics: "METRICS" };

/** `spec:optimizer.lr`; dots within a key are written `\.`, which no key of a column has. */
export function idOf({ source, path }: ActionColumnInput): string {
  const names = source === "METRICS" ? path : path.map((name) => name.replaceAll(".", "\\."));
  return `${source.toLowerCase()}:${names.join(".")}`;
}

/** The column of an id; null if there is none. */
export function columnOf(id: string, unit?: string | null): Column | null {
  const known = builtIn.get(id);
  if (known) return known;
  const at = id.indexOf(":");
  const source = Object.hasOwn(SOURCES, id.slice(0, at)) ? SOURCES[id.slice(0, at)] : undefined;
  const rest = id.slice(at + 1);
  if (!source || !rest) return null;
  const path =
    source === "METRICS" ? [rest] : rest.split(/(?<!\\)\./).map((name) => name.replaceAll("\\.", "."));
  if (path.some((name) => name === "") || path.length > 4) return null;
  return {
    id,
    title: path.join("."),
    hint: `${source === "SPEC" ? "Spec" : source === "OUTPUTS" ? "Output" : "Metric, last value"}: ${path.join(" › ")}`,
    kind: "number",
    unit: unit ?? null,
    width: 116,
    value: ({ name }, { valueOf }) => valueOf(name, id),
    read: { source, path },
  };
}

/** The text of a cell that is saved, with phases by name and times as RFC 3339. */
export function textOf(column: Column, action: Action, context: Context): Cell {
  if (column.kind === "phase") return phaseStyle(action.phase).label;
  const value = column.value(action, context);
  if (typeof value !== "number") return value;
  if (column.kind === "time") return new Date(value).toISOString();
  return column.kind === "duration" ? value / 1_000 : value;
}

/** The title of a column in a file, with its unit. */
export function fullTitle(column: Column): string {
  const name = column.read ? column.id : column.title;
  const unit = column.kind === "duration" ? "s" : column.kind === "progress" ? "%" : column.unit;
  return unit && unit !== "1" ? `${name} (${unit})` : name;
}
