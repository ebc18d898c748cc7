import { useMemo } from "react";
import { EmptyNotice } from "../ui/notices";
import { readCsv } from "./csv";
import { TableView } from "./TableView";

/** A file of comma separated values as a table. */
export default function CsvView({ text, name }: { text: string; name: string }) {
  const table = useMemo(() => readCsv(text), [text]);
  return table.columns.length ? (
    <TableView table={table} name={name} />
  ) : (
    <EmptyNotice title="The table is empty" />
  );
}
