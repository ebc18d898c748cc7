/** What the streams of runs and of actions have in common. */
export interface Frame<Row> {
  kind: string;
  cursor: string;
  removed: readonly string[];
  rows: readonly Row[];
}

/** Fields of every row: between two RESYNC frames the copy with the higher revision is newer. */
export interface Versioned {
  id: string;
  revision: number;
}

/** Whether this copy of a row replaces the stored one. */
export function isNewer<Row extends Versioned>(row: Row, known: Row | undefined): boolean {
  return !known || row.revision >= known.revision;
}
