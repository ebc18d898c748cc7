import { describe, expect, test } from "vitest";
import { type ActionData, Forest, type TreeNode } from "../../src/actions/forest";
import { hasEnded } from "../../src/ui/phases";
import { Seeded } from "./seeded";

const BEGIN = Date.UTC(2026, 0, 1);
const PHASES = ["QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "ABORTED", "NEWLY_INVENTED"];

interface Line {
  name: string;
  isGroup: boolean;
  counts: Record<string, number>;
  total: number;
  children: Line[];
}

/** The tree of these actions, built from scratch. */
function expected(actions: readonly ActionData[], parentName: string | null = null): Line[] {
  const children = actions.filter((row) => (row.parentName ?? null) === parentName);
  const lines = new Map<string, { line: Line; createdMs: number }>();
  for (const row of [...children].sort(byAge)) {
    const below = expected(actions, row.name);
    const line = { name: row.name, isGroup: false, ...summed(below, actions), children: below };
    const createdMs = Date.parse(row.createdAt);
    if (row.group && parentName !== null) {
      const group = lines.get(`g ${row.group}`) ?? {
        line: { name: row.group, isGroup: true, counts: {}, total: 0, children: [] },
        createdMs,
      };
      group.line.children.push(line);
      Object.assign(group.line, summed(group.line.children, actions));
      lines.set(`g ${row.group}`, group);
    } else lines.set(`a ${row.name}`, { line, createdMs });
  }
  const sorted = [...lines.values()].sort(
    (a, b) => a.createdMs - b.createdMs || (a.line.name < b.line.name ? -1 : 1),
  );
  return sorted.map(({ line }) => line);
}

function byAge(a: ActionData, b: ActionData): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || (a.name < b.name ? -1 : 1);
}

function summed(lines: readonly Line[], actions: readonly ActionData[]) {
  const counts: Record<string, number> = {};
  let total = 0;
  for (const line of lines) {
    total += line.total + (line.isGroup ? 0 : 1);
    const own = line.isGroup ? null : actions.find(({ name }) => name === line.name);
    if (own) counts[own.phase] = (counts[own.phase] ?? 0) + 1;
    for (const [phase, count] of Object.entries(line.counts)) counts[phase] = (counts[phase] ?? 0) + count;
  }
  return { counts, total };
}

function actual(nodes: readonly TreeNode[], parent: TreeNode | null = null): Line[] {
  return nodes.map((node) => {
    expect(node.parent).toBe(parent);
    const { name, total } = node;
    const counts = Object.fromEntries(node.counts);
    return { name, isGroup: !node.action, counts, total, children: actual(node.children, node) };
  });
}

/** A run whose actions arrive in random order, change, and are sometimes removed with their descendants. */
class Run {
  readonly forest = new Forest(() => undefined);
  readonly here = new Map<string, ActionData>();
  private readonly toCome: ActionData[] = [];
  firstMs = Infinity;
  lastMs = -Infinity;

  constructor(private readonly chance: Seeded) {
    const names: string[] = [];
    for (let index = 0; index < 40; index += 1) {
      const parentName = index < 2 ? null : chance.pick(names);
      const name = `n${String(chance.below(900) + 100)}-${index}`;
      const group = parentName && chance.chance(0.4) ? `g${chance.below(2)}` : null;
      const createdAt = this.time(chance.below(20));
      this.toCome.push({
        ...{ id: `id-${index}`, revision: 1, name, parentName, group, createdAt },
        ...{ phase: chance.pick(PHASES), dependencies: [] },
      });
      names.push(name);
    }
  }

  private time(second: number): string {
    return new Date(BEGIN + second * 1_000).toISOString();
  }

  private send(kind: string, rows: ActionData[], removed: string[] = []): void {
    this.forest.apply({ kind, cursor: "", rows, removed });
    for (const row of rows) this.note(row);
  }

  private note(row: ActionData): void {
    this.here.set(row.id, row);
    const times = [row.createdAt, row.startedAt, row.endedAt].map((text) =>
      Date.parse(text ?? row.createdAt),
    );
    this.firstMs = Math.min(this.firstMs, ...times);
    this.lastMs = Math.max(this.lastMs, ...times);
  }

  private come(): void {
    const rows = Array.from({ length: Math.min(this.toCome.length, 1 + this.chance.below(3)) }, () => {
      const [row] = this.toCome.splice(this.chance.below(this.toCome.length), 1);
      return row as ActionData;
    });
    this.send("CHANGE", rows);
  }

  private change(): void {
    if (!this.here.size) return;
    const row = this.chance.pick([...this.here.values()]);
    const phase = this.chance.pick(PHASES);
    const endedAt = hasEnded(phase) ? this.time(20 + this.chance.below(20)) : null;
    this.send("CHANGE", [{ ...row, revision: row.revision + 1, phase, endedAt }]);
    // A late older copy.
    if (this.chance.chance(0.3)) {
      this.forest.apply({ kind: "CHANGE", cursor: "", rows: [row], removed: [] });
    }
  }

  private below(row: ActionData): ActionData[] {
    const children = [...this.here.values()].filter(({ parentName }) => parentName === row.name);
    return [row, ...children.flatMap((child) => this.below(child))];
  }

  /** A branch, or a single line, is removed; it may return. */
  private go(): void {
    if (!this.here.size) return;
    const row = this.chance.pick([...this.here.values()]);
    const rows = this.chance.chance(0.7) ? this.below(row) : [row];
    for (const { id } of rows) this.here.delete(id);
    this.toCome.push(...rows);
    this.forest.apply({ kind: "CHANGE", cursor: "", rows: [], removed: rows.map(({ id }) => id) });
  }

  private resync(): void {
    const stay = [...this.here.values()].filter(() => this.chance.chance(0.9));
    const gone = [...this.here.values()].filter((row) => !stay.includes(row));
    this.toCome.push(...gone);
    this.send("RESYNC", []);
    this.here.clear();
    this.send("SNAPSHOT", stay.slice(0, 9));
    this.send("SNAPSHOT", stay.slice(9));
    this.send("SYNCED", []);
  }

  step(): void {
    const ops = [() => this.come(), () => this.come(), () => this.change(), () => this.change()];
    if (this.chance.chance(0.15)) ops.push(() => this.go());
    if (this.chance.chance(0.1)) ops.push(() => this.resync());
    this.chance.pick(ops)();
  }
}

const seeds = Array.from({ length: 20 }, (_, seed) => seed);

test.each(seeds)("random changes give the same forest as building it from scratch (%i)", (seed) => {
  const run = new Run(new Seeded(seed));
  const { forest } = run;
  for (let at = 0; at < 80; at += 1) {
    run.step();
    const rows = [...run.here.values()];
    expect(actual(forest.roots)).toEqual(expected(rows));
    expect(forest.unfinished).toBe(rows.filter(({ phase }) => !hasEnded(phase)).length);
    expect([forest.firstMs, forest.lastMs]).toEqual([run.firstMs, run.lastMs]);
    expect([...forest.actions()].sort(byAge)).toEqual(rows.sort(byAge));
  }
});

describe("the test's generator", () => {
  test("it generates several levels and groups with several members", () => {
    const run = new Run(new Seeded(1));
    for (let at = 0; at < 60; at += 1) run.step();
    const depth = (lines: readonly Line[]): number =>
      lines.length ? 1 + Math.max(...lines.map(({ children }) => depth(children))) : 0;
    expect(depth(actual(run.forest.roots))).toBeGreaterThan(3);
    expect([...run.forest.nodes.values()].some((node) => !node.action && node.children.length > 1)).toBe(
      true,
    );
  });
});
