import type { RunColumn } from "./columns";
import classes from "./RunTable.module.css";
import { ariaSort, isSortable, nextSort } from "./sorting";

interface Props {
  column: RunColumn;
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
}

const ARROWS = { ascending: "↑", descending: "↓", none: "" };

/** The head of a column, which sorts the list if it can. */
export function SortHead({ column: { id, title, hint, right }, sort, onSort }: Props) {
  const className = right ? classes.right : undefined;
  if (!isSortable(id))
    return (
      <span role="columnheader" data-column={id} title={hint} className={className}>
        {title}
      </span>
    );
  const order = ariaSort(sort, id);
  return (
    <span role="columnheader" data-column={id} title={hint} className={className} aria-sort={order}>
      <button type="button" className={classes.sort} onClick={() => onSort(nextSort(sort, id))}>
        {title}
        <span aria-hidden>{ARROWS[order]}</span>
      </button>
    </span>
  );
}
