import { beforeEach, describe, expect, test } from "vitest";
import { type ActionData, Forest, type TreeNode, countsOf, phasesIn } from "../../src/actions/forest";

const BEGIN = Date.UTC(2026, 0, 1);
const at = (second: number): string => new Date(BEGIN + second * 1_000).toISOString();

function action(name: string, rest: Partial<ActionData> = {}): ActionData {
  return {
    id: `id-${name}`,
    revision: 1,
    name,
    phase: "QUEUED",
    createdAt: at(0),
    dependencies: [],
    ...rest,
  };
}

let forest: Forest;
const send = (kind: string, rows: ActionData[] = [], removed: string[] = []): void =>
  forest.apply({ kind, cursor: "", rows, removed });
const change = (...rows: ActionData[]): void => send("CHANGE", rows);

/** The tree as text: names, groups in brackets, children in parentheses. */
function shape(nodes: readonly TreeNode[] = forest.roots): string {
  return nodes
    .map((node) => {
      const below = node.children.length ? `(${shape(node.children)})` : "";
      return `${node.action ? node.name : `[${node.name}]`}${below}`;
    })
    .join(" ");
}

const countsAt = (name: string): Record<string, number> =>
  Object.fromEntries(forest.find(name)?.counts ?? [["missing", 1]]);

beforeEach(() => {
  forest = new Forest((flush) => flush());
});

describe("order of lines", () => {
  test("children follow their parent, oldest first, then by name", () => {
    change(
      action("root"),
      action("late", { parentName: "root", createdAt: at(2) }),
      action("b", { parentName: "root", createdAt: at(1) }),
      action("a", { parentName: "root", createdAt: at(1) }),
    );
    expect(shape()).toBe("root(a b late)");
  });

  test("children that arrive before their parent are attached to it with their descendants", () => {
    change(action("leaf", { parentName: "child", phase: "RUNNING" }));
    change(action("child", { parentName: "root" }));
    expect(shape()).toBe("");
    expect(forest.size).toBe(2);
    change(action("root"));
    expect(shape()).toBe("root(child(leaf))");
    expect(countsAt("root")).toEqual({ QUEUED: 1, RUNNING: 1 });
    expect(forest.find("root")?.total).toBe(2);
  });

  test("members of a group are below it, and the group is where its oldest member would be", () => {
    change(
      action("root"),
      action("last", { parentName: "root", createdAt: at(9) }),
      action("m2", { parentName: "root", group: "map", createdAt: at(5) }),
      action("first", { parentName: "root", createdAt: at(1) }),
      action("m1", { parentName: "root", group: "map", createdAt: at(4) }),
    );
    expect(shape()).toBe("root(first [map](m1 m2) last)");
  });

  test("a group moves up when an older member arrives", () => {
    change(
      action("root"),
      action("m2", { parentName: "root", group: "map", createdAt: at(5) }),
      action("middle", { parentName: "root", createdAt: at(3) }),
    );
    change(action("m1", { parentName: "root", group: "map", createdAt: at(1) }));
    expect(shape()).toBe("root([map](m1 m2) middle)");
  });

  test("groups of one name below two parents are distinct", () => {
    change(
      action("r"),
      action("x", { parentName: "r" }),
      action("y", { parentName: "r" }),
      action("x1", { parentName: "x", group: "g" }),
      action("y1", { parentName: "y", group: "g" }),
    );
    expect(shape()).toBe("r(x([g](x1)) y([g](y1)))");
  });

  test("an action and a group of one name are distinct lines", () => {
    change(action("r"), action("g", { parentName: "r" }), action("m", { parentName: "r", group: "g" }));
    expect(forest.find("g")?.children).toEqual([]);
    expect(forest.find("r")?.children).toHaveLength(2);
  });
});

describe("counts", () => {
  beforeEach(() => {
    change(
      action("root", { phase: "RUNNING" }),
      action("step", { parentName: "root", phase: "RUNNING" }),
      action("m1", { parentName: "step", group: "map" }),
      action("m2", { parentName: "step", group: "map" }),
    );
  });

  test("a line counts all its descendants, through groups, and not itself", () => {
    expect(countsAt("root")).toEqual({ RUNNING: 1, QUEUED: 2 });
    expect(countsAt("step")).toEqual({ QUEUED: 2 });
    expect(countsAt("m1")).toEqual({});
    const [group] = forest.find("step")?.children ?? [];
    expect(group && countsOf(group)).toEqual([{ phase: "QUEUED", count: 2 }]);
    expect(forest.find("root")?.total).toBe(3);
  });

  test("a phase change updates the counts up to the root and moves no line", () => {
    const { structure } = forest;
    change(action("m1", { revision: 2, phase: "SUCCEEDED", parentName: "step", group: "map" }));
    expect(countsAt("step")).toEqual({ QUEUED: 1, SUCCEEDED: 1 });
    expect(countsAt("root")).toEqual({ RUNNING: 1, QUEUED: 1, SUCCEEDED: 1 });
    expect(forest.find("root")?.total).toBe(3);
    expect(forest.structure).toBe(structure);
  });

  test("a late older revision is ignored", () => {
    change(action("m1", { revision: 3, phase: "SUCCEEDED", parentName: "step", group: "map" }));
    change(action("m1", { revision: 2, phase: "RUNNING", parentName: "step", group: "map" }));
    expect(countsAt("step")).toEqual({ QUEUED: 1, SUCCEEDED: 1 });
    expect(forest.find("m1")?.action?.phase).toBe("SUCCEEDED");
  });

  test("a phase change of a child without its parent counts when the parent arrives", () => {
    change(action("early", { parentName: "later" }));
    change(action("early", { revision: 2, parentName: "later", phase: "FAILED" }));
    change(action("later", { parentName: "root" }));
    expect(countsAt("later")).toEqual({ FAILED: 1 });
    expect(countsAt("root")).toEqual({ RUNNING: 1, QUEUED: 3, FAILED: 1 });
  });

  test("listeners of all ancestors of a change are notified, and no others", () => {
    change(action("beside", { parentName: "root" }));
    const notified: string[] = [];
    for (const { key, name } of forest.nodes.values()) forest.batch.listen(key, () => notified.push(name));
    change(action("m1", { revision: 2, phase: "RUNNING", parentName: "step", group: "map" }));
    expect(notified.sort()).toEqual(["m1", "map", "root", "step"]);
  });

  test("present phases are in display order, unknown ones last", () => {
    change(action("new", { parentName: "root", phase: "HIBERNATING" }), action("other", { phase: "FAILED" }));
    expect(phasesIn(forest)).toEqual([
      { phase: "QUEUED", count: 2 },
      { phase: "RUNNING", count: 2 },
      { phase: "FAILED", count: 1 },
      { phase: "HIBERNATING", count: 1 },
    ]);
  });
});

describe("notifications", () => {
  test("added and removed lines change the structure, a phase change only the version", () => {
    const numbers = (): [number, number] => [forest.structure, forest.version];
    expect(numbers()).toEqual([0, 0]);
    change(action("a"));
    const [structure, version] = numbers();
    expect(structure).toBeGreaterThan(0);
    change(action("a", { revision: 2, phase: "RUNNING" }));
    expect(numbers()).toEqual([structure, version + 1]);
    send("CHANGE", [], ["id-a"]);
    expect(numbers()).toEqual([structure + 1, version + 2]);
  });

  test("global listeners are notified of every frame", () => {
    let notified = 0;
    forest.batch.listenToAll(() => (notified += 1));
    change(action("a"));
    send("SYNCED");
    expect(notified).toBe(2);
  });

  test("it is synced when the snapshot is complete", () => {
    expect(forest.synced).toBe(false);
    send("SNAPSHOT", [action("a")]);
    expect(forest.synced).toBe(false);
    send("SYNCED");
    expect(forest.synced).toBe(true);
  });
});

describe("totals of the run", () => {
  test("unfinished actions are counted, including unknown phases", () => {
    change(action("a"), action("b", { phase: "RUNNING" }), action("c", { phase: "SUCCEEDED" }));
    expect(forest.unfinished).toBe(2);
    change(action("a", { revision: 2, phase: "HIBERNATING" }), action("b", { revision: 2, phase: "FAILED" }));
    expect(forest.unfinished).toBe(1);
    change(action("b", { revision: 3, phase: "QUEUED" }));
    expect(forest.unfinished).toBe(2);
  });

  test("it spans from the earliest start to the latest end", () => {
    expect([forest.firstMs, forest.lastMs]).toEqual([Infinity, -Infinity]);
    change(action("a", { createdAt: at(5), startedAt: at(3), endedAt: at(9) }));
    change(action("b", { createdAt: at(4), startedAt: at(6) }));
    expect([forest.firstMs, forest.lastMs]).toEqual([BEGIN + 3_000, BEGIN + 9_000]);
    change(action("b", { revision: 2, createdAt: at(4), startedAt: at(6), endedAt: at(12) }));
    expect(forest.lastMs).toBe(BEGIN + 12_000);
  });

  test("it knows whether any action has dependencies", () => {
    change(action("a"));
    expect(forest.hasDependencies).toBe(false);
    change(action("b", { dependencies: ["a"] }));
    expect(forest.hasDependencies).toBe(true);
  });
});

test("a restarted snapshot drops actions that are deleted by then", () => {
  send("SNAPSHOT", [action("root"), action("gone", { parentName: "root" })]);
  forest.restart();
  send("SNAPSHOT", [action("root"), action("new", { parentName: "root" })]);
  send("SYNCED");
  expect(shape()).toBe("root(new)");
  expect(forest.synced).toBe(true);
});
