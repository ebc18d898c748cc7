/** A table to show. */
export interface Table {
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  /** All rows, of which `rows` may be the first. */
  rowCount: number;
  /** Whether `rowCount` is a lower bound. */
  hasMore: boolean;
}

/** Rows that are read and shown. */
export const MOST_ROWS = 50_000;

/** Widths of columns in characters, by what the first rows need. */
export function columnWidths({ columns, rows }: Table): number[] {
  return columns.map((name, at) => {
    let width = name.length + 1;
    for (const row of rows.slice(0, 200)) width = Math.max(width, row[at]?.length ?? 0);
    return Math.min(48, Math.max(4, width + 1));
  });
}

/** Whether a column has numbers only, in its first rows. */
export function isNumeric({ rows }: Table, column: number): boolean {
  const values = rows.slice(0, 200).map((row) => row[column] ?? "");
  return (
    values.some(Boolean) &&
    values.every((value) => value === "" || /^[-+]?[\d.,]*\d(?:e[-+]?\d+)?%?$/i.test(value))
  );
}

/** The order of rows by a column, numbers by value; stable. */
export function sorted(table: Table, column: number, isDescending: boolean): readonly (readonly string[])[] {
  const compare = isNumeric(table, column)
    ? (a: string, b: string): number => toNumber(a) - toNumber(b)
    : (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const sign = isDescending ? -1 : 1;
  return [...table.rows].sort((a, b) => {
    const [one, other] = [a[column] ?? "", b[column] ?? ""];
    // Empty cells are last either way.
    if (!one || !other) return one ? -1 : other ? 1 : 0;
    return sign * compare(one, other);
  });
}

const toNumber = (text: string): number => Number(text.replace(/[,%]/g, ""));
