import { Batch } from "../live/batch";
import { type Frame, type Versioned, isNewer } from "../live/frames";
import { PHASES, hasEnded } from "../ui/phases";
import { drop, insert } from "./siblings";

/** The fields of an action that the tree needs. */
export interface ActionData extends Versioned {
  name: string;
  parentName?: string | null;
  group?: string | null;
  phase: string;
  createdAt: string;
  startedAt?: string | null;
  endedAt?: string | null;
  dependencies: readonly string[];
}

/** A line of the tree: an action, or a group of sibling actions. */
export interface TreeNode<Data extends ActionData = ActionData> {
  /** Stable for as long as the line exists. */
  key: string;
  name: string;
  action: Data | null;
  parent: TreeNode<Data> | null;
  children: TreeNode<Data>[];
  /** The number of descendants by phase, itself excluded. */
  counts: Map<string, number>;
  /** The number of descendants. */
  total: number;
  createdMs: number;
}

const actionKey = (name: string): string => `a:${name}`;
const groupKey = (parent: string, group: string): string => `g:${parent}\n${group}`;

/**
 * The actions of a run as a tree, updated incrementally: a change costs as many steps as the action has
 * ancestors, however large the run is.
 */
export class Forest<Data extends ActionData = ActionData> {
  readonly batch: Batch;
  readonly roots: TreeNode<Data>[] = [];
  readonly nodes = new Map<string, TreeNode<Data>>();
  synced = false;
  /** Increases when lines are added, removed or moved, or depend on something else. */
  structure = 0;
  /** Increases with every change. */
  version = 0;
  /** From the earliest start to the latest known end, in milliseconds since 1970. */
  firstMs = Infinity;
  lastMs = -Infinity;
  unfinished = 0;
  hasDependencies = false;

  private readonly keyById = new Map<string, string>();
  /** Lines whose parent has not arrived, by the parent's key. */
  private readonly orphans = new Map<string, TreeNode<Data>[]>();
  private seen: Set<string> | null = null;

  constructor(schedule?: (flush: () => void) => void) {
    this.batch = new Batch(schedule);
  }

  get size(): number {
    return this.keyById.size;
  }

  find(name: string): TreeNode<Data> | undefined {
    return this.nodes.get(actionKey(name));
  }

  *actions(): Generator<Data> {
    for (const key of this.keyById.values()) {
      const action = this.nodes.get(key)?.action;
      if (action) yield action;
    }
  }

  /** The stream restarts: lines missing from its snapshot are removed. */
  restart(): void {
    this.seen = this.size ? new Set() : null;
  }

  apply(frame: Frame<Data>): void {
    if (frame.kind === "RESYNC" || (frame.kind === "SNAPSHOT" && this.synced && !this.seen)) {
      this.seen = new Set();
    }
    for (const row of frame.rows) {
      // The database may have lost rows that we hold; the current ones may then have lower revisions.
      const isNew = this.seen !== null && !this.seen.has(row.id);
      this.seen?.add(row.id);
      this.put(row, isNew);
    }
    for (const id of frame.removed) this.remove(id);
    if (frame.kind === "SYNCED") {
      if (this.seen) for (const id of [...this.keyById.keys()]) if (!this.seen.has(id)) this.remove(id);
      this.seen = null;
      this.synced = true;
    }
    this.version += 1;
    this.batch.touchAll();
  }

  private put(row: Data, isNew: boolean): void {
    const key = actionKey(row.name);
    const known = this.nodes.get(key);
    if (known?.action) {
      if (!isNew && !isNewer(row, known.action)) return;
      const before = known.action;
      known.action = row;
      this.note(row);
      if (before.dependencies.length !== row.dependencies.length) this.structure += 1;
      if (hasEnded(before.phase) !== hasEnded(row.phase)) this.unfinished += hasEnded(row.phase) ? -1 : 1;
      if (before.phase !== row.phase) this.count(known.parent, { [before.phase]: -1, [row.phase]: 1 }, 0);
      this.batch.touch(key);
      return;
    }
    const node: TreeNode<Data> = {
      key,
      name: row.name,
      action: row,
      parent: null,
      children: [],
      counts: new Map(),
      total: 0,
      createdMs: Date.parse(row.createdAt),
    };
    this.nodes.set(key, node);
    this.keyById.set(row.id, key);
    if (!hasEnded(row.phase)) this.unfinished += 1;
    this.note(row);
    this.place(node, row);
    const waiting = this.orphans.get(key);
    if (waiting) {
      this.orphans.delete(key);
      for (const child of waiting) if (child.action) this.place(child, child.action);
    }
    this.structure += 1;
  }

  /** Inserts a line below its parent, or below its group there. */
  private place(node: TreeNode<Data>, row: Data): void {
    if (!row.parentName) {
      insert(this.roots, node);
      return;
    }
    const parent = this.find(row.parentName);
    if (!parent) {
      const key = actionKey(row.parentName);
      this.orphans.set(key, [...(this.orphans.get(key) ?? []), node]);
      return;
    }
    const holder = row.group ? this.group(parent, row.group, node.createdMs) : parent;
    node.parent = holder;
    insert(holder.children, node);
    if (!holder.action) this.settle(holder);
    const changes = Object.fromEntries(node.counts);
    changes[row.phase] = (changes[row.phase] ?? 0) + 1;
    this.count(holder, changes, node.total + 1);
  }

  private group(parent: TreeNode<Data>, name: string, createdMs: number): TreeNode<Data> {
    const key = groupKey(parent.key, name);
    let group = this.nodes.get(key);
    if (!group) {
      group = { key, name, action: null, parent, children: [], counts: new Map(), total: 0, createdMs };
      this.nodes.set(key, group);
      insert(parent.children, group);
    }
    return group;
  }

  /** A group is placed where its oldest member would be, and removed with its last member. */
  private settle(group: TreeNode<Data>): void {
    const [oldest] = group.children;
    if (oldest?.createdMs === group.createdMs) return;
    const siblings = group.parent?.children ?? [];
    drop(siblings, group);
    if (!oldest) {
      this.nodes.delete(group.key);
      return;
    }
    group.createdMs = oldest.createdMs;
    insert(siblings, group);
  }

  /** Adds to the counts of a line and its ancestors. */
  private count(from: TreeNode<Data> | null, changes: Record<string, number>, total: number): void {
    for (let node = from; node; node = node.parent) {
      for (const [phase, change] of Object.entries(changes)) {
        const count = (node.counts.get(phase) ?? 0) + change;
        if (count > 0) node.counts.set(phase, count);
        else node.counts.delete(phase);
      }
      node.total += total;
      this.batch.touch(node.key);
    }
  }

  private note(row: Data): void {
    const created = Date.parse(row.createdAt);
    this.firstMs = Math.min(this.firstMs, created, row.startedAt ? Date.parse(row.startedAt) : created);
    this.lastMs = Math.max(this.lastMs, created, row.endedAt ? Date.parse(row.endedAt) : created);
    if (row.dependencies.length) this.hasDependencies = true;
  }

  private remove(id: string): void {
    const key = this.keyById.get(id);
    const node = key === undefined ? undefined : this.nodes.get(key);
    if (key === undefined || !node?.action) return;
    this.keyById.delete(id);
    this.nodes.delete(key);
    if (!hasEnded(node.action.phase)) this.unfinished -= 1;
    const { parent, action } = node;
    const waiting = action.parentName ? this.orphans.get(actionKey(action.parentName)) : undefined;
    drop(parent?.children ?? waiting ?? this.roots, node);
    const changes = Object.fromEntries([...node.counts].map(([phase, count]) => [phase, -count]));
    changes[action.phase] = (changes[action.phase] ?? 0) - 1;
    this.count(parent, changes, -node.total - 1);
    if (parent && !parent.action) this.settle(parent);
    // Its descendants wait until it returns.
    const below = node.children.flatMap((line) => (line.action ? [line] : line.children));
    for (const line of node.children) if (!line.action) this.nodes.delete(line.key);
    for (const child of below) child.parent = null;
    if (below.length) this.orphans.set(key, below);
    this.structure += 1;
  }
}

/** The counts of a line for a phase bar. */
export function countsOf(node: TreeNode): { phase: string; count: number }[] {
  return [...node.counts].map(([phase, count]) => ({ phase, count }));
}

/** All phases in the forest in display order, with their counts. */
export function phasesIn(forest: Forest): { phase: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const root of forest.roots) {
    for (const [phase, count] of root.counts) counts.set(phase, (counts.get(phase) ?? 0) + count);
    if (root.action) counts.set(root.action.phase, (counts.get(root.action.phase) ?? 0) + 1);
  }
  const known = PHASES.filter((phase) => counts.has(phase));
  const others = [...counts.keys()].filter((phase) => !PHASES.includes(phase));
  return [...known, ...others].map((phase) => ({ phase, count: counts.get(phase) ?? 0 }));
}
