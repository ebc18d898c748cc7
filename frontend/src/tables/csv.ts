import { unparse } from "papaparse";
import type { Action } from "../actions/useForest";
import { type Column, type Context, fullTitle, textOf } from "./columns";

/** Text that a spreadsheet would execute, also of several lines. */
const FORMULA = /^[=+\-@\t\r\n]/;

/** Rows that are written at once; between them the page responds. */
const PART = 2_000;

/**
 * The rows as text, of all columns, in parts. Text that a spreadsheet would take for a formula gets an apostrophe.
 */
export async function textOfTable(
  rows: readonly Action[],
  columns: readonly Column[],
  context: Context,
  delimiter: "," | "\t",
): Promise<string[]> {
  const write = (lines: readonly unknown[][]): string =>
    `${unparse(lines as unknown[][], { delimiter, escapeFormulae: FORMULA, newline: "\r\n" })}\r\n`;
  const parts = [write([columns.map(fullTitle)])];
  for (let at = 0; at < rows.length; at += PART) {
    parts.push(
      write(rows.slice(at, at + PART).map((row) => columns.map((column) => textOf(column, row, context)))),
    );
    await new Promise((resolve) => setTimeout(resolve));
  }
  return parts;
}
