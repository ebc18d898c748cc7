import type { Frame } from "../../src/live/frames";
import { RunList } from "../../src/runs/runList";
import type { ListedRun } from "../../src/runs/runOrder";

/** The maximum number of runs of a snapshot in these tests. */
const FIRST = 3;

/** A run created at this second: a higher number is newer. */
export function run(second: number, revision = 1): ListedRun {
  const createdAt = new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();
  return { id: `r${second}`, revision, createdAt };
}

/** A list with shorthands for stream events. */
export class StreamedList {
  readonly list = new RunList<ListedRun>(FIRST, (flush) => flush());

  get ids(): readonly string[] {
    return this.list.snapshot().ids;
  }

  send(kind: string, rest: Partial<Frame<ListedRun>> = {}): void {
    this.list.apply({ kind, cursor: "", rows: [], removed: [], ...rest });
  }

  change(...rows: ListedRun[]): void {
    this.send("CHANGE", { rows });
  }

  leave(...removed: string[]): void {
    this.send("CHANGE", { removed });
  }

  begin(...rows: ListedRun[]): void {
    this.send("SNAPSHOT", { rows });
    this.send("SYNCED");
  }

  resync(...rows: ListedRun[]): void {
    this.send("RESYNC");
    this.begin(...rows);
  }
}
