import { beforeEach, describe, expect, test } from "vitest";
import { type ActionData, Forest } from "../../src/actions/forest";

const BEGIN = Date.UTC(2026, 0, 1);

function action(name: string, parentName?: string, rest: Partial<ActionData> = {}): ActionData {
  const createdAt = new Date(BEGIN).toISOString();
  return {
    id: `id-${name}`,
    revision: 1,
    name,
    parentName,
    phase: "QUEUED",
    createdAt,
    dependencies: [],
    ...rest,
  };
}

let forest: Forest;
const send = (kind: string, rows: ActionData[] = [], removed: string[] = []): void =>
  forest.apply({ kind, cursor: "", rows, removed });
const change = (...rows: ActionData[]): void => send("CHANGE", rows);
const remove = (...names: string[]): void =>
  send(
    "CHANGE",
    [],
    names.map((name) => `id-${name}`),
  );
const namesAt = (name: string): string[] | undefined => forest.find(name)?.children.map(({ name }) => name);

beforeEach(() => {
  forest = new Forest((flush) => flush());
  change(action("root"), action("step", "root"), action("leaf", "step", { phase: "RUNNING" }));
});

describe("removal", () => {
  test("a removed action is subtracted from the counts up to the root", () => {
    remove("leaf");
    expect(forest.find("leaf")).toBeUndefined();
    expect(Object.fromEntries(forest.find("root")?.counts ?? [])).toEqual({ QUEUED: 1 });
    expect(forest.find("root")?.total).toBe(1);
    expect(forest.unfinished).toBe(2);
    expect(forest.size).toBe(2);
  });

  test("a group is removed with its last member", () => {
    change(action("m1", "step", { group: "g" }), action("m2", "step", { group: "g" }));
    remove("m1");
    expect(namesAt("step")).toEqual(["g", "leaf"].sort());
    remove("m2");
    expect(namesAt("step")).toEqual(["leaf"]);
    expect([...forest.nodes.values()].every(({ action }) => action)).toBe(true);
  });

  test("a removed root disappears", () => {
    change(action("other"));
    remove("other");
    expect(forest.roots.map(({ name }) => name)).toEqual(["root"]);
  });

  test("removing an unknown action changes nothing", () => {
    const { structure } = forest;
    remove("nobody");
    expect(forest.structure).toBe(structure);
    expect(forest.size).toBe(3);
  });

  test("a branch removed from its top is subtracted once", () => {
    change(action("beside", "root"));
    remove("step", "leaf");
    expect(forest.find("root")?.total).toBe(1);
    expect(Object.fromEntries(forest.find("root")?.counts ?? [])).toEqual({ QUEUED: 1 });
    expect(forest.unfinished).toBe(2);
  });

  test("a branch with a group removed from its top leaves nothing behind", () => {
    change(action("m1", "step", { group: "g" }), action("m2", "step", { group: "g" }));
    remove("step", "m1", "leaf", "m2");
    expect([...forest.nodes.keys()]).toEqual(["a:root"]);
    expect(forest.find("root")?.total).toBe(0);
  });

  test("children are attached again when their parent returns", () => {
    remove("step");
    expect(forest.find("root")?.total).toBe(0);
    change(action("step", "root", { revision: 2 }));
    expect(namesAt("step")).toEqual(["leaf"]);
    expect(forest.find("root")?.total).toBe(2);
  });

  test("a child removed while waiting for its parent does not return with it", () => {
    change(action("early", "later"));
    remove("early");
    change(action("later", "root"));
    expect(namesAt("later")).toEqual([]);
    expect(forest.find("later")?.total).toBe(0);
  });
});

describe("a new snapshot", () => {
  beforeEach(() => send("SYNCED"));

  test("after RESYNC missing lines are removed when the snapshot is complete", () => {
    send("RESYNC");
    send("SNAPSHOT", [action("root", undefined, { revision: 2 })]);
    expect(forest.size).toBe(3);
    send("SNAPSHOT", [action("new", "root")]);
    send("SYNCED");
    expect(namesAt("root")).toEqual(["new"]);
    expect(forest.size).toBe(2);
    expect(forest.find("root")?.total).toBe(1);
  });

  test("a restarted snapshot also drops deleted lines", () => {
    send("SNAPSHOT", [action("root"), action("step", "root")]);
    send("SYNCED");
    expect(namesAt("step")).toEqual([]);
    send("SNAPSHOT", [action("root")]);
    send("SYNCED");
    expect(namesAt("root")).toEqual([]);
  });

  test("a row lost by the database is removed despite its higher revision", () => {
    change(action("leaf", "step", { revision: 5, phase: "SUCCEEDED" }));
    send("RESYNC");
    send("SNAPSHOT", [action("root"), action("step", "root"), action("leaf", "step", { revision: 4 })]);
    send("SYNCED");
    expect(forest.find("leaf")?.action?.phase).toBe("QUEUED");
    expect(forest.unfinished).toBe(3);
  });

  test("rows received after RESYNC are not replaced by older ones", () => {
    send("RESYNC");
    change(action("leaf", "step", { revision: 5, phase: "SUCCEEDED" }));
    send("SNAPSHOT", [action("root"), action("step", "root"), action("leaf", "step", { revision: 4 })]);
    send("SYNCED");
    expect(forest.find("leaf")?.action?.phase).toBe("SUCCEEDED");
    expect(forest.unfinished).toBe(2);
  });

  test("changes after a snapshot remove nothing", () => {
    change(action("step", "root", { revision: 2 }));
    send("SYNCED");
    expect(forest.size).toBe(3);
  });
});
