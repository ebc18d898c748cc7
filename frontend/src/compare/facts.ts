import type { ComparedActionQuery, ComparedRunQuery } from "../gql/graphql";
import { formatDuration } from "../ui/durations";
import { phaseStyle, words } from "../ui/phases";

export type Run = NonNullable<ComparedRunQuery["run"]>;
export type ComparedAction = NonNullable<ComparedActionQuery["action"]>;

/** An attribute of both sides; null where there is none. */
export interface Fact {
  name: string;
  before: string | null;
  after: string | null;
}

interface Times {
  createdAt: string;
  startedAt?: string | null;
  endedAt?: string | null;
}

const between = (from: string | null | undefined, to: string | null | undefined): string | null =>
  from && to ? formatDuration(Date.parse(to) - Date.parse(from)) : null;

const timesOf = ({ createdAt, startedAt, endedAt }: Times): [string, string | null][] => [
  ["Waited", between(createdAt, startedAt)],
  ["Run time", between(startedAt, endedAt)],
];

const errorOf = (error: { code?: string | null; summary: string } | null | undefined): string | null =>
  error ? [error.code, error.summary].filter(Boolean).join(": ") : null;

function runFacts(run: Run): [string, string | null][] {
  const count = run.phaseCounts.reduce((sum, each) => sum + each.count, 0);
  return [
    ["Phase", phaseStyle(run.phase).label],
    ["Error", errorOf(run.error)],
    ["Duration", between(run.createdAt, run.endedAt)],
    ...timesOf(run),
    ["Actions", count.toLocaleString("en")],
    ["Attempts", String(run.attempts)],
    ["Task", run.task?.name ?? null],
    ["Version", run.task?.version ?? null],
    ["Function", run.functionName ?? null],
    ["Environment", run.environmentName ?? null],
    [
      "Trigger",
      run.trigger
        ? `${run.trigger.name}${run.trigger.revision == null ? "" : `, revision ${run.trigger.revision}`}`
        : null,
    ],
    ["By", run.createdBy ? (run.createdBy.name ?? run.createdBy.subject) : null],
    ["Source", run.source ? words(run.source) : null],
    ["Executor", run.executor ?? null],
    ...run.labels.map(({ key, value }): [string, string] => [`Label ${key}`, value]),
  ];
}

function actionFacts(action: ComparedAction): [string, string | null][] {
  const [attempt] = action.attemptHistory;
  return [
    ["Phase", phaseStyle(action.phase).label],
    ["Error", errorOf(action.error)],
    ...timesOf(action),
    ["Attempts", String(action.attempts)],
    ["Task", action.task?.name ?? null],
    ["Version", action.task?.version ?? null],
    ["Function", action.functionName ?? null],
    ["Environment", action.environmentName ?? null],
    ["Cache", words(action.cacheStatus)],
    ["Cluster", attempt?.cluster ?? null],
  ];
}

function joined(before: [string, string | null][], after: [string, string | null][]): Fact[] {
  const [old, now] = [new Map(before), new Map(after)];
  const names = [...new Set([...now.keys(), ...old.keys()])];
  return names
    .map((name) => ({ name, before: old.get(name) ?? null, after: now.get(name) ?? null }))
    .filter(({ before, after }) => before !== null || after !== null);
}

export const factsOfRuns = (before: Run, after: Run): Fact[] => joined(runFacts(before), runFacts(after));

/** The attributes of two actions; either may be missing. */
export const factsOfActions = (before: ComparedAction | null, after: ComparedAction | null): Fact[] =>
  joined(before ? actionFacts(before) : [], after ? actionFacts(after) : []);
