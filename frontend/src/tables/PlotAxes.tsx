import { useMemo } from "react";
import type { TableSearch } from "./address";
import { builtIn, columnOf, idOf } from "./columns";
import { type Found, ranked } from "./found";
import classes from "./ScatterPlot.module.css";

interface Props {
  found: readonly Found[];
  search: TableSearch;
  onSearch: (change: TableSearch) => void;
}

const OWN = ["run", "queued", "started", "attempts", "progress"];

/** What the axes of the plot show, and whether they are logarithmic. */
export function PlotAxes({ found, search, onSearch }: Props) {
  const options = useMemo(() => {
    const own = OWN.map((id) => ({ id, label: builtIn.get(id)?.title ?? id }));
    const numbers = ranked(found).filter(({ numbers }) => numbers > 0);
    return [...numbers.map((each) => ({ id: idOf(each), label: idOf(each) })), ...own];
  }, [found]);
  return (
    <div className={classes.axes}>
      {(["y", "x"] as const).map((axis) => {
        const id = search[axis] ?? "";
        const isKnown = options.some((option) => option.id === id);
        const isLog = search.log?.includes(axis) ?? false;
        const isTime = columnOf(id)?.kind === "time";
        return (
          <span key={axis} className={classes.axis}>
            <label>
              {axis.toUpperCase()}{" "}
              <select
                className={classes.select}
                value={id}
                onChange={({ currentTarget: { value } }) => onSearch({ [axis]: value })}
              >
                {isKnown ? null : <option value={id}>{id}</option>}
                {options.map((option) => (
                  <option key={option.id} value={option.id}>
                    {option.label}
                  </option>
                ))}
              </select>
            </label>
            <label className={classes.log}>
              <input
                type="checkbox"
                checked={isLog && !isTime}
                disabled={isTime}
                onChange={({ currentTarget: { checked } }) => {
                  const rest = (search.log ?? "").replace(axis, "");
                  onSearch({ log: (checked ? rest + axis : rest) || undefined });
                }}
              />{" "}
              log
            </label>
          </span>
        );
      })}
      <span className={`${classes.legend} faint`}>● succeeded · ✕ failed · ○ in progress</span>
    </div>
  );
}
