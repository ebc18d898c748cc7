import { Batch } from "../live/batch";
import { type Frame, isNewer } from "../live/frames";
import { type ListedRun, before, byTime } from "./runOrder";

/** The maximum number of rows kept while the user is at the top. */
const MOST = 1_000;
const KEEP = 300;

/** The rows on the screen and around it. */
export interface ListView {
  ids: readonly string[];
  /** New runs that are not shown while the list is held. */
  waiting: number;
  synced: boolean;
  hasOlder: boolean;
}

/**
 * The newest runs, live, and older ones as far as the user has paged back. While the list is held, rows
 * change in place but none is added, removed or moved: new runs wait, and runs that no longer match stay,
 * marked as such.
 */
export class RunList<Row extends ListedRun> {
  readonly batch: Batch;
  protected rows = new Map<string, Row>();
  protected ids: string[] = [];
  protected waiting = new Set<string>();
  protected unmatched = new Set<string>();
  /** Rows beyond a snapshot that arrived while the list was held: it is unknown whether they still match. */
  private unsure = new Set<string>();
  /** The oldest run up to which the list is complete. If it is removed itself, nothing older is loaded. */
  private floor: Row | null = null;
  protected held = false;
  protected synced = false;
  protected hasOlder = false;
  /** Increases when older rows are dropped, which invalidates cursors beyond them. */
  generation = 0;
  /** The rows of an unfinished snapshot after RESYNC. */
  private fresh: Map<string, Row> | null = null;
  /** The rows held before it, which the database may have lost. */
  private before: ReadonlyMap<string, Row> = new Map();
  private view: ListView | null = null;

  constructor(
    /** The maximum number of rows in the snapshot. */
    private readonly first: number,
    schedule?: (flush: () => void) => void,
  ) {
    this.batch = new Batch(schedule);
  }

  get = (id: string): Row | undefined => this.rows.get(id);

  isUnmatched = (id: string): boolean => this.unmatched.has(id);

  /** Referentially stable until something changes. */
  snapshot = (): ListView => {
    this.view ??= {
      ids: [...this.ids],
      waiting: this.waiting.size,
      synced: this.synced,
      hasOlder: this.hasOlder,
    };
    return this.view;
  };

  /** The number of rows, shown or waiting. */
  get size(): number {
    return this.rows.size;
  }

  /** The stream restarts: rows missing from its snapshot no longer match. */
  restart(): void {
    this.begin(this.rows.size > 0);
  }

  apply(frame: Frame<Row>): void {
    switch (frame.kind) {
      case "RESYNC":
        this.begin(true);
        return;
      case "SNAPSHOT":
        if (this.synced && !this.fresh) this.begin(true);
        if (this.fresh) for (const row of frame.rows) this.fresh.set(row.id, row);
        else for (const row of frame.rows) this.put(row);
        break;
      case "SYNCED":
        if (this.fresh) this.replace(this.fresh);
        else this.bound(this.rows);
        this.fresh = null;
        this.synced = true;
        break;
      default:
        for (const row of frame.rows) this.put(row);
        for (const id of frame.removed) this.remove(id);
    }
    this.touch();
  }

  private begin(isNew: boolean): void {
    this.fresh = isNew ? new Map() : null;
    this.before = new Map(this.rows);
  }

  /** Appends a page of older runs, newest first. */
  addOlder(rows: readonly Row[], hasOlder: boolean): void {
    const lastShown = this.rows.get(this.ids.at(-1) ?? "");
    for (const row of rows) {
      const known = this.rows.get(row.id);
      if (isNewer(row, known)) this.rows.set(row.id, row);
      if (this.unsure.delete(row.id)) this.unmatched.delete(row.id);
      if (known) this.batch.touch(row.id);
      else if (this.held && lastShown && byTime(row, lastShown) < 0) this.waiting.add(row.id);
      else this.ids.push(row.id);
    }
    this.lower(rows);
    this.hasOlder = hasOlder;
    for (const id of [...this.unsure]) {
      if (this.isUnsure(this.rows.get(id) as Row)) continue;
      this.unsure.delete(id);
      this.remove(id);
    }
    if (!this.held) this.sort();
    this.touch();
  }

  hold(held: boolean): void {
    if (held === this.held) return;
    this.held = held;
    if (!held) this.catchUp();
  }

  /** Shows waiting runs; the list stays held. */
  catchUp(): void {
    const shown = this.ids;
    for (const id of [...this.unmatched, ...this.unsure]) this.rows.delete(id);
    this.ids = [...this.rows.keys()];
    this.waiting.clear();
    this.unmatched.clear();
    this.unsure.clear();
    this.sort();
    if (shown.length !== this.ids.length || shown.some((id, at) => id !== this.ids[at])) this.touch();
  }

  private put(row: Row): void {
    const known = this.rows.get(row.id);
    if (!isNewer(row, known)) return;
    if (!known && this.isBelowTheWindow(row)) return;
    this.take(row, known);
  }

  protected take(row: Row, known: Row | undefined): void {
    this.rows.set(row.id, row);
    this.batch.touch(row.id);
    if (known) {
      this.unmatched.delete(row.id);
      return;
    }
    if (this.held) this.waiting.add(row.id);
    else this.insert(row);
  }

  /** A changed run older than the loaded ones: paging back will load it. */
  private isBelowTheWindow(row: Row): boolean {
    return this.synced && this.hasOlder && !!this.floor && byTime(this.floor, row) < 0;
  }

  /** Whether only paging back can show if this row still matches. */
  private isUnsure(row: Row): boolean {
    return this.hasOlder && !!this.floor && byTime(this.floor, row) <= 0;
  }

  /** The list is complete down to the oldest of these. */
  private lower(rows: Iterable<Row>): void {
    for (const row of rows) if (!this.floor || byTime(this.floor, row) < 0) this.floor = row;
  }

  /** Applies a complete snapshot. */
  private bound(rows: ReadonlyMap<string, Row>): void {
    this.hasOlder = rows.size >= this.first;
    this.floor = null;
    this.lower(rows.values());
  }

  protected remove(id: string): void {
    if (!this.rows.has(id)) return;
    if (this.held && !this.waiting.has(id)) {
      this.unmatched.add(id);
      this.batch.touch(id);
      return;
    }
    this.rows.delete(id);
    this.waiting.delete(id);
    this.ids = this.ids.filter((other) => other !== id);
  }

  private replace(fresh: Map<string, Row>): void {
    for (const [id, row] of fresh) {
      const known = this.rows.get(id);
      if (known && known !== this.before.get(id) && !isNewer(row, known)) fresh.set(id, known);
    }
    this.generation += 1;
    this.bound(fresh);
    if (this.held) {
      for (const [id, row] of [...this.rows]) {
        if (fresh.has(id)) this.unsure.delete(id);
        else if (this.isUnsure(row) && !this.waiting.has(id)) this.unsure.add(id);
        else this.remove(id);
      }
      for (const [id, row] of fresh) this.take(row, this.rows.get(id));
      return;
    }
    this.rows = fresh;
    this.ids = [...fresh.keys()];
    this.sort();
    for (const id of this.ids) this.batch.touch(id);
  }

  private insert(row: Row): void {
    const at = this.ids.findIndex((id) => before(row, this.rows.get(id) as Row) < 0);
    if (at < 0) this.ids.push(row.id);
    else this.ids.splice(at, 0, row.id);
    if (this.ids.length > MOST) {
      for (const id of this.ids.splice(KEEP)) this.rows.delete(id);
      this.bound(this.rows);
      this.hasOlder = true;
      this.generation += 1;
    }
  }

  private sort(): void {
    this.ids.sort((a, b) => before(this.rows.get(a) as Row, this.rows.get(b) as Row));
  }

  protected touch(): void {
    this.view = null;
    this.batch.touchAll();
  }
}
