/** What the streams of runs and of actions have in common. */
export interface Frame<Row> {
  kind: string;
  cursor: string;
  removed: readonly string[];
  rows: readonly Row[];
}

/** What every row has: of two copies between two RESYNC, the one with the higher revision is the newer. */
export interface Versioned {
  id: string;
  revision: number;
}

/** Whether this copy of a row is to be kept in place of the one that is there. */
export function isNewer<Row extends Versioned>(row: Row, known: Row | undefined): boolean {
  return !known || row.revision >= known.revision;
}
