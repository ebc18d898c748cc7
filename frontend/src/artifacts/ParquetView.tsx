import { asyncBufferFromUrl, cachedAsyncBuffer, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { useEffect, useState } from "react";
import { ErrorNotice, LoadingNotice } from "../ui/notices";
import type { Table } from "./table";
import { TableView } from "./TableView";

/** Rows that are read of a parquet file. */
const MOST_ROWS = 1_000;

interface Props {
  url: string;
  size: number;
  name: string;
}

/** The first rows of a parquet file: only these are loaded. */
export default function ParquetView({ url, size, name }: Props) {
  const [state, setState] = useState<{ table?: Table; message?: string } | null>(null);
  useEffect(() => {
    let isOver = false;
    readTable(url, size).then(
      (table) => {
        if (!isOver) setState({ table });
      },
      (reason: unknown) => {
        if (!isOver) setState({ message: reason instanceof Error ? reason.message : String(reason) });
      },
    );
    return () => {
      isOver = true;
    };
  }, [url, size]);
  if (!state) return <LoadingNotice what="the table" />;
  return state.table ? (
    <TableView table={state.table} name={name} />
  ) : (
    <ErrorNotice
      title="This parquet file cannot be shown here; you can download it"
      problem={{ code: "UNREADABLE", message: state.message ?? "" }}
    />
  );
}

async function readTable(url: string, size: number): Promise<Table> {
  const file = cachedAsyncBuffer(await asyncBufferFromUrl({ url, byteLength: size }));
  const metadata = await parquetMetadataAsync(file);
  const rowCount = Number(metadata.num_rows);
  const read = await parquetReadObjects({
    file,
    metadata,
    rowStart: 0,
    rowEnd: Math.min(rowCount, MOST_ROWS),
  });
  const columns = metadata.schema.length > 1 ? topLevel(metadata.schema) : [];
  const rows = read.map((row) => columns.map((column) => textOf(row[column])));
  return { columns, rows, rowCount, hasMore: false };
}

/** The names of the columns; nested ones are values of theirs. */
function topLevel(schema: readonly { name: string; num_children?: number }[]): string[] {
  const names: string[] = [];
  let skip = 0;
  for (const { name, num_children: children = 0 } of schema.slice(1)) {
    if (skip > 0) skip += children - 1;
    else {
      names.push(name);
      skip = children;
    }
  }
  return names;
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (value instanceof Date) return value.toISOString();
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === "bigint" ? String(item) : item,
  ).replace(/^"|"$/g, "");
}
