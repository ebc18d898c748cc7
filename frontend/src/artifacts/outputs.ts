import { MOST_ROWS, type Table } from "./table";

/** A value without parts. */
export type Scalar = null | boolean | number | string;

const isScalar = (value: unknown): value is Scalar => value === null || typeof value !== "object";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Values that are shown by name; more are a document. */
const MOST_VALUES = 40;
const MOST_COLUMNS = 30;
/** Characters of a value that is shown as a whole. */
const LONGEST = 2_000;

/** The values of a scalar or of an object of scalars, by name; null for anything else. */
export function scalarsOf(output: unknown): [string, Scalar][] | null {
  if (isScalar(output)) return isShort(output) ? [["", output]] : null;
  if (!isObject(output)) return null;
  const entries = Object.entries(output);
  if (!entries.length || entries.length > MOST_VALUES) return null;
  const scalars = entries.filter(
    (entry): entry is [string, Scalar] => isScalar(entry[1]) && isShort(entry[1]),
  );
  return scalars.length === entries.length ? scalars : null;
}

const isShort = (value: Scalar): boolean => typeof value !== "string" || value.length <= LONGEST;

/** A list of objects of scalars as a table, whose columns are all their names; null for anything else. */
export function recordsOf(output: unknown): Table | null {
  if (!Array.isArray(output) || !output.length || output.length > MOST_ROWS) return null;
  const columns = new Set<string>();
  for (const row of output as unknown[]) {
    if (!isObject(row)) return null;
    for (const [name, value] of Object.entries(row)) {
      if (!isScalar(value)) return null;
      columns.add(name);
    }
    if (columns.size > MOST_COLUMNS) return null;
  }
  if (!columns.size) return null;
  const names = [...columns];
  const rows = (output as Record<string, Scalar>[]).map((row) =>
    names.map((name) => (Object.hasOwn(row, name) && row[name] !== null ? String(row[name]) : "")),
  );
  return { columns: names, rows, rowCount: rows.length, hasMore: false };
}
