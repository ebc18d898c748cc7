import { isNewer } from "../live/frames";
import { RunList } from "./runList";
import type { ListedRun } from "./runOrder";

/**
 * Runs in an order of the server. Rows change in place; new runs, and those whose place may have changed, are
 * counted until the list is read again.
 */
export class SortedRunList<Row extends ListedRun> extends RunList<Row> {
  constructor(
    first: number,
    /** What determines the place of a run; null if that never changes. */
    private readonly placeOf: (row: Row) => unknown,
    private readonly readAgain: () => void,
    schedule?: (flush: () => void) => void,
  ) {
    super(first, schedule);
    this.held = true;
  }

  /** Shows these rows in place of all others. */
  show(rows: readonly Row[], hasMore: boolean): void {
    const shown = rows.map((row) => {
      const known = this.rows.get(row.id);
      return known && !isNewer(row, known) ? known : row;
    });
    this.rows = new Map(shown.map((row) => [row.id, row]));
    this.ids = shown.map(({ id }) => id);
    this.waiting.clear();
    this.unmatched.clear();
    this.synced = true;
    this.hasOlder = hasMore;
    this.generation += 1;
    for (const id of this.ids) this.batch.touch(id);
    this.touch();
  }

  /** Appends the next page. */
  override addOlder(rows: readonly Row[], hasMore: boolean): void {
    const shown = new Set(this.ids);
    for (const row of rows) {
      if (isNewer(row, this.rows.get(row.id))) this.rows.set(row.id, row);
      if (!shown.has(row.id)) this.ids.push(row.id);
      this.waiting.delete(row.id);
      this.batch.touch(row.id);
    }
    this.hasOlder = hasMore;
    this.touch();
  }

  /** It is always held. */
  override hold(): void {}

  override catchUp(): void {
    this.readAgain();
  }

  protected override take(row: Row, known: Row | undefined): void {
    if (known && this.placeOf(row) !== this.placeOf(known)) this.waiting.add(row.id);
    super.take(row, known);
  }

  protected override remove(id: string): void {
    // A shown run whose place has changed is only marked.
    if (this.ids.includes(id)) this.waiting.delete(id);
    super.remove(id);
  }
}
