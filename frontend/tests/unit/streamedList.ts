import type { Frame } from "../../src/live/frames";
import { RunList } from "../../src/runs/runList";
import type { ListedRun } from "../../src/runs/runOrder";

/** How many runs a snapshot has at the most, in these tests. */
const FIRST = 3;

/** A run that was created at this second, so that a higher number is a newer run. */
export function run(second: number, revision = 1): ListedRun {
  const createdAt = new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();
  return { id: `r${second}`, revision, createdAt };
}

/** A list, with what a stream does to it in short. */
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
