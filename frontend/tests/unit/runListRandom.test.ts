import { describe, expect, test } from "vitest";
import type { Frame } from "../../src/live/frames";
import { RunList } from "../../src/runs/runList";
import type { ListedRun } from "../../src/runs/runOrder";
import { Seeded } from "./seeded";

const FIRST = 5;
const PAGE = 3;

const newestFirst = (a: ListedRun, b: ListedRun): number =>
  b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id);

/** The server orders runs created at the same time differently. */
const asTheServer = (a: ListedRun, b: ListedRun): number => {
  const mixed = ({ id }: ListedRun): number => (Number(id.slice(1)) * 7_919) % 101;
  return b.createdAt.localeCompare(a.createdAt) || mixed(a) - mixed(b) || b.id.localeCompare(a.id);
};

/** A server with runs, a stream that may lag or break, and pages that are always current. */
class World {
  readonly list = new RunList<ListedRun>(FIRST, () => undefined);
  private readonly matching = new Map<string, ListedRun>();
  private readonly left = new Map<string, ListedRun>();
  private readonly onTheWay: Frame<ListedRun>[] = [];
  private revision = 0;
  private created = 0;
  private pageEnd: ListedRun | null = null;
  private generation = 0;
  held = false;

  constructor(private readonly chance: Seeded) {
    for (let count = chance.below(20); count >= 0; count -= 1) this.create();
    this.onTheWay.length = 0;
    this.snapshot();
  }

  /** The matching runs, newest first. */
  get truth(): ListedRun[] {
    return [...this.matching.values()].sort(newestFirst);
  }

  get isCurrent(): boolean {
    return this.onTheWay.length === 0;
  }

  private write(run: Omit<ListedRun, "revision">): void {
    this.revision += 1;
    const row = { ...run, revision: this.revision };
    this.matching.set(row.id, row);
    this.onTheWay.push({ kind: "CHANGE", cursor: "", rows: [row], removed: [] });
  }

  private create(): void {
    this.created += 1;
    // Several per second, and sometimes an imported old one.
    const second = this.chance.chance(0.1) ? this.chance.below(this.created) : this.created >> 1;
    const createdAt = new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();
    this.write({ id: `r${String(this.created).padStart(4, "0")}`, createdAt });
  }

  private update(): void {
    if (this.matching.size) this.write(this.chance.pick(this.truth));
  }

  private leave(): void {
    if (!this.matching.size) return;
    const run = this.chance.pick(this.truth);
    this.matching.delete(run.id);
    this.left.set(run.id, run);
    this.onTheWay.push({ kind: "CHANGE", cursor: "", rows: [], removed: [run.id] });
  }

  private comeBack(): void {
    const run = [...this.left.values()].at(-1);
    if (!run) return;
    this.left.delete(run.id);
    this.write(run);
  }

  deliver(): void {
    for (const frame of this.onTheWay.splice(0)) this.list.apply(frame);
  }

  /** The stream broke: pending frames are lost, and a new snapshot follows. */
  private resync(): void {
    this.onTheWay.length = 0;
    this.list.apply({ kind: "RESYNC", cursor: "", rows: [], removed: [] });
    this.snapshot();
  }

  private snapshot(): void {
    const rows = this.truth.sort(asTheServer).slice(0, FIRST);
    if (rows.length) this.list.apply({ kind: "SNAPSHOT", cursor: "", rows, removed: [] });
    this.list.apply({ kind: "SYNCED", cursor: "", rows: [], removed: [] });
  }

  /** As `LiveRuns.loadOlder` does. */
  private page(): void {
    if (!this.list.snapshot().hasOlder) return;
    if (this.generation !== this.list.generation) this.pageEnd = null;
    this.generation = this.list.generation;
    const { pageEnd } = this;
    const all = this.truth.sort(asTheServer);
    const behind = pageEnd ? all.filter((run) => asTheServer(pageEnd, run) < 0) : all;
    const rows = behind.slice(0, pageEnd ? PAGE : this.list.size + PAGE);
    this.pageEnd = rows.at(-1) ?? pageEnd;
    this.list.addOlder(rows, behind.length > rows.length);
  }

  /** The list is complete down to its end; further runs of the last time may exist. */
  check(): void {
    const { ids, hasOlder } = this.list.snapshot();
    const shown = new Set(ids);
    const end = this.list.get(ids.at(-1) ?? "")?.createdAt ?? "9999";
    const known = this.truth.filter(({ id, createdAt }) => createdAt > end || shown.has(id));
    expect(ids.map(this.list.get)).toEqual(known);
    if (!hasOlder) expect(ids).toHaveLength(this.truth.length);
  }

  hold(held: boolean): void {
    this.held = held;
    this.list.hold(held);
  }

  /** A random event; with `user`, also holding the list and showing waiting runs. */
  step(isLeftAlone = false): void {
    const ops = [
      () => this.create(),
      () => this.create(),
      () => this.update(),
      () => this.update(),
      () => this.leave(),
      () => this.comeBack(),
      () => this.deliver(),
      () => this.deliver(),
      () => this.page(),
      () => {
        if (this.chance.chance(0.3)) this.resync();
      },
      () => this.hold(!this.held),
      () => this.list.catchUp(),
    ];
    this.chance.pick(isLeftAlone ? ops.slice(0, -2) : ops)();
  }
}

const seeds = Array.from({ length: 60 }, (_, seed) => seed);

describe("random changes", () => {
  test.each(seeds)("a live list shows the newest runs in order without gaps (%i)", (seed) => {
    const world = new World(new Seeded(seed));
    let compared = 0;
    for (let at = 0; at < 400; at += 1) {
      world.step();
      if (world.held || !world.isCurrent) continue;
      world.check();
      expect(world.list.size).toBe(world.list.snapshot().ids.length);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(10);
  });

  test.each(seeds)("a held list moves no row, marks missing runs and counts waiting ones (%i)", (seed) => {
    const world = new World(new Seeded(1_000 + seed));
    const { list } = world;
    for (let at = 0; at < 40; at += 1) world.step();
    world.hold(false);
    world.hold(true);
    let before = list.snapshot().ids;
    for (let at = 0; at < 100; at += 1) {
      world.step(true);
      const { ids } = list.snapshot();
      expect(ids.slice(0, before.length)).toEqual(before);
      expect(new Set(ids).size).toBe(ids.length);
      before = ids;
    }
    world.deliver();
    const matching = new Set(world.truth.map(({ id }) => id));
    for (const id of before) if (list.isUnmatched(id)) expect(matching).not.toContain(id);
    const { waiting } = list.snapshot();
    list.catchUp();
    const { ids, waiting: left } = list.snapshot();
    expect(ids.filter((id) => !before.includes(id))).toHaveLength(waiting);
    expect(left).toBe(0);
    world.check();
  });
});
