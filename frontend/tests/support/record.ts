import type { TestServer } from "./server";

/** Writes runs for tests, as an executor does. */
export interface NewAction {
  name: string;
  parent?: string;
  group?: string;
  phase?: string;
  dependencies?: string[];
  labels?: { key: string; value: string }[];
  createdAt?: string;
  spec?: unknown;
  task?: { project: string; domain: string; name: string; version: string };
  createdBy?: { kind: string; subject: string; name?: string };
}

export interface RunId {
  project: string;
  domain: string;
  name: string;
}

export const runId = (name: string, project = "tests", domain = "development"): RunId => ({
  project,
  domain,
  name,
});

export const actionId = (run: RunId, name: string) => ({
  project: run.project,
  domain: run.domain,
  runName: run.name,
  name,
});

const CREATE = `mutation ($input: [CreateActionInput!]!) { createActions(input: $input) { created } }`;
const PHASES = `mutation ($input: [UpdateActionPhaseInput!]!) { updateActionPhases(input: $input) { applied } }`;
const EVENTS = `mutation ($events: [ActionEventInput!]!) { insertEvents(events: $events) { inserted } }`;
/** Creates actions in one call. */
const BATCH = 1_000;

export async function createActions(server: TestServer, run: RunId, actions: NewAction[]): Promise<void> {
  const input = actions.map(({ name, parent, ...rest }) => ({
    ...rest,
    id: actionId(run, name),
    parentName: parent,
  }));
  for (let at = 0; at < input.length; at += BATCH) {
    await server.execute(CREATE, { input: input.slice(at, at + BATCH) });
  }
}

/** Creates a run of one action. */
export async function createRun(
  server: TestServer,
  run: RunId,
  rest: Partial<NewAction> = {},
): Promise<void> {
  await createActions(server, run, [{ name: "root", phase: "RUNNING", ...rest }]);
}

/** Sets the phases of actions, given as name and phase. */
export async function setPhases(
  server: TestServer,
  run: RunId,
  phases: Record<string, string>,
  attempts = 1,
): Promise<void> {
  const input = Object.entries(phases).map(([name, phase]) => ({ id: actionId(run, name), phase, attempts }));
  await server.execute(PHASES, { input });
}

export async function insertEvents(
  server: TestServer,
  run: RunId,
  events: Record<string, unknown>[],
): Promise<void> {
  await server.execute(EVENTS, {
    events: events.map(({ action, ...rest }) => ({ ...rest, action: actionId(run, String(action)) })),
  });
}

const APPEND = `mutation ($input: AppendLogInput!) { appendLog(input: $input) { lastNumber } }`;
const STORE = `mutation ($input: StoreArtifactInput!) { storeArtifact(input: $input) { url } }`;

export interface NewLine {
  text: string;
  at?: string;
  level?: string;
}

/** Appends lines to the log of an attempt. */
export async function appendLog(
  server: TestServer,
  run: RunId,
  action: string,
  lines: NewLine[],
  { attempt = 1, stream = "stdout" } = {},
): Promise<void> {
  for (let at = 0; at < lines.length; at += 5_000) {
    const input = { action: actionId(run, action), attempt, stream, lines: lines.slice(at, at + 5_000) };
    await server.execute(APPEND, { input });
  }
}

/** Stores an artifact of an attempt; `content` has one of json, text and base64. */
export async function storeArtifact(
  server: TestServer,
  run: RunId,
  action: string,
  kind: "INPUTS" | "OUTPUTS" | "REPORT" | "FILE",
  name: string,
  content: { json?: unknown; text?: string; base64?: string; mediaType?: string },
  attempt = 1,
): Promise<void> {
  await server.execute(STORE, {
    input: { action: actionId(run, action), attempt, kind, name, ...content },
  });
}

/** A WfFormat recording of a workflow that fans out twice, like those of Montage. */
export function makeRecording(tasks: number): object {
  const wide = Math.floor((tasks - 4) / 3);
  const names: { id: string; name: string; parents: string[] }[] = [];
  const add = (name: string, number: number, parents: string[]): string => {
    const id = `${name}_ID${String(number).padStart(7, "0")}`;
    names.push({ id, name, parents });
    return id;
  };
  const projected = Array.from({ length: wide }, (_, n) => add("mProject", n, []));
  const fitted = projected.map((id, n) => add("mDiffFit", n, [id, projected[(n + 1) % wide] ?? id]));
  const concat = add("mConcatFit", 0, fitted);
  const model = add("mBgModel", 0, [concat]);
  const corrected = projected.map((id, n) => add("mBackground", n, [id, model]));
  const table = add("mImgtbl", 0, corrected);
  add("mAdd", 0, [table]);
  while (names.length < tasks) add("mViewer", names.length, [table]);
  const children = new Map<string, string[]>();
  for (const { id, parents } of names) {
    for (const parent of parents) children.set(parent, [...(children.get(parent) ?? []), id]);
  }
  return {
    name: "Mosaic",
    description: "Made for a test",
    schemaVersion: "1.5",
    runtimeSystem: { name: "Pegasus", version: "5.0" },
    workflow: {
      specification: {
        tasks: names.map(({ id, name, parents }) => ({
          id,
          name,
          parents,
          children: children.get(id) ?? [],
          inputFiles: [],
          outputFiles: [],
        })),
        files: [],
      },
      execution: {
        makespanInSeconds: 120,
        executedAt: "2026-01-15T10:00:00Z",
        tasks: names.map(({ id }, n) => ({
          id,
          runtimeInSeconds: 1 + ((n * 7) % 23) / 4,
          command: { program: "montage", arguments: [id] },
          machines: ["node-1"],
        })),
        machines: [{ nodeName: "node-1" }],
      },
    },
  };
}
