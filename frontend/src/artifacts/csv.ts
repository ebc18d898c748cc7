import Papa from "papaparse";
import { MOST_ROWS, type Table } from "./table";

/** Reads comma, tab or semicolon separated values, the first line being the names of the columns. */
export function readCsv(text: string): Table {
  const { data, meta } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ""), {
    skipEmptyLines: "greedy",
    preview: MOST_ROWS + 1,
  });
  const [head = [], ...rows] = data;
  const width = rows.reduce((most, row) => Math.max(most, row.length), head.length);
  const columns = Array.from({ length: width }, (_, at) => head[at] ?? "");
  return { columns, rows, rowCount: rows.length, hasMore: meta.truncated };
}
