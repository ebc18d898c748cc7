import { Button, Popover } from "@mantine/core";
import { saveAs } from "../logs/saving";
import type { RunName } from "../live/paths";
import { announce } from "../ui/announce";
import { copyText } from "../ui/copy";
import classes from "./ActionTable.module.css";
import type { TableSearch } from "./address";
import { ColumnChooser } from "./ColumnChooser";
import type { Column } from "./columns";
import { axesFor, type Found } from "./found";
import type { Rows } from "./useRows";

interface Props {
  run: RunName;
  table: Rows;
  columns: readonly Column[];
  found: readonly Found[];
  /** The ids of the columns. */
  ids: readonly string[];
  search: TableSearch;
  /** Whether all values of the columns have arrived. */
  isRead: boolean;
  onSearch: (change: TableSearch) => void;
}

/** What is shown: which rows and columns, the plot, and copies of the table. */
export function TableTools({ run, table, columns, found, ids, search, isRead, onSearch }: Props) {
  const { rows, newest, context, choices, isOutdated } = table;
  const isPlotted = search.x !== undefined && search.y !== undefined;
  const write = async (delimiter: "," | "\t"): Promise<string[]> => {
    const { textOfTable } = await import("./csv");
    return textOfTable(rows.map(newest), columns, context, delimiter);
  };
  const save = async (): Promise<void> => {
    // Spreadsheets recognise UTF-8 by the mark at the start.
    saveAs(`${run.name}.csv`, ["\ufeff", ...(await write(","))], "text/csv");
    announce(`Saved ${rows.length.toLocaleString("en")} rows`);
  };
  const copy = async (): Promise<void> => {
    await copyText((await write("\t")).join(""), "table");
  };
  return (
    <div className={classes.tools}>
      <label className={classes.label}>
        Rows
        <select
          className={classes.select}
          value={search.of ?? ""}
          onChange={({ currentTarget: { value } }) => onSearch({ of: value || undefined, same: undefined })}
        >
          {choices.map(({ of, label, count }) => (
            <option key={of} value={of}>
              {label} ({count.toLocaleString("en")})
            </option>
          ))}
          {choices.some(({ of }) => of === (search.of ?? "")) ? null : (
            <option value={search.of}>{search.of}</option>
          )}
        </select>
      </label>
      <span className="faint" role="status">
        <span className="number">{rows.length.toLocaleString("en")}</span>{" "}
        {rows.length === 1 ? "row" : "rows"}
        {search.same ? ` with the error of ${search.same}` : ""}
        {isRead || columns.every(({ read }) => !read) ? "" : " · reading values…"}
        {isOutdated ? " · order is kept while the pointer is here" : ""}
      </span>
      {search.same ? (
        <Button size="compact-sm" variant="default" onClick={() => onSearch({ same: undefined })}>
          All errors
        </Button>
      ) : null}
      <span className={classes.space} />
      <Popover position="bottom-end" withinPortal trapFocus>
        <Popover.Target>
          <Button size="compact-sm" variant="default">
            Columns · {columns.length}
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          <ColumnChooser
            found={found}
            ids={ids}
            onChange={(col) => onSearch({ col: col ? [...col] : undefined })}
          />
        </Popover.Dropdown>
      </Popover>
      <Button
        size="compact-sm"
        variant={isPlotted ? "light" : "default"}
        aria-pressed={isPlotted}
        title="Two columns as a scatter plot"
        onClick={() => onSearch(isPlotted ? { x: undefined, y: undefined, log: undefined } : axesFor(found))}
      >
        Plot
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        title="Copy all rows, for a spreadsheet"
        onClick={() => void copy()}
      >
        Copy
      </Button>
      <Button size="compact-sm" variant="default" title="Save all rows as a file" onClick={() => void save()}>
        CSV
      </Button>
    </div>
  );
}
