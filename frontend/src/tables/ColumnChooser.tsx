import { Button, Checkbox } from "@mantine/core";
import { useMemo, useState } from "react";
import { announce } from "../ui/announce";
import classes from "./ColumnChooser.module.css";
import { builtIn, columnOf, idOf } from "./columns";
import { type Found, ranked } from "./found";

interface Props {
  found: readonly Found[];
  ids: readonly string[];
  /** The new columns; undefined for those that are shown at first. */
  onChange: (ids: readonly string[] | undefined) => void;
}

const SOURCES = [
  { source: "SPEC", title: "Spec" },
  { source: "OUTPUTS", title: "Outputs" },
  { source: "METRICS", title: "Metrics" },
] as const;

interface Offered {
  id: string;
  label: string;
  note?: string;
}

/** Which columns are shown: of each source, those that differ first. */
export function ColumnChooser({ found, ids, onChange }: Props) {
  const [typed, setTyped] = useState("");
  const [added, setAdded] = useState("");
  const sections = useMemo(() => {
    const rest = ranked(found);
    const known = new Set([...builtIn.keys(), ...rest.map(idOf)]);
    const others = ids.filter((id) => !known.has(id) && columnOf(id));
    return [
      {
        title: "Action",
        // The name is always shown.
        columns: [...builtIn.values()]
          .filter(({ id }) => id !== "name")
          .map<Offered>(({ id, title }) => ({ id, label: title })),
      },
      ...SOURCES.map(({ source, title }) => ({
        title,
        columns: rest
          .filter((each) => each.source === source)
          .map<Offered>((each) => ({ id: idOf(each), label: each.path.join("."), note: noteOf(each) })),
      })),
      { title: "Others", columns: others.map<Offered>((id) => ({ id, label: id })) },
    ];
  }, [found, ids]);
  const text = typed.trim().toLowerCase();
  const toggle = (id: string, isShown: boolean): void =>
    onChange(isShown ? [...ids, id] : ids.filter((other) => other !== id));
  const isUsable = columnOf(added) !== null && !ids.includes(added);
  return (
    <div
      className={classes.chooser}
      onKeyDownCapture={(event) => {
        // It closes the choice only, and not the action.
        if (event.key === "Escape") event.preventDefault();
      }}
    >
      <input
        className={classes.field}
        type="search"
        aria-label="Search the columns"
        placeholder="Search columns"
        value={typed}
        onChange={({ currentTarget: { value } }) => setTyped(value)}
      />
      <div className={classes.list}>
        {sections.map(({ title, columns }) => {
          const shown = columns.filter(({ label }) => label.toLowerCase().includes(text));
          return shown.length ? (
            <fieldset key={title} className={classes.section}>
              <legend>{title}</legend>
              {shown.map(({ id, label, note }) => (
                <Checkbox
                  key={id}
                  size="xs"
                  my={5}
                  label={
                    <>
                      {label} {note ? <span className="faint">{note}</span> : null}
                    </>
                  }
                  checked={ids.includes(id)}
                  onChange={({ currentTarget: { checked } }) => toggle(id, checked)}
                />
              ))}
            </fieldset>
          ) : null;
        })}
        {found.length ? null : (
          <p className="faint">
            No values were found in specs, outputs or metrics. Documents over 64 KiB are not read.
          </p>
        )}
      </div>
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (!isUsable) {
            announce("A column is spec:, outputs: or metrics: and the name of a key or metric");
            return;
          }
          toggle(added, true);
          setAdded("");
        }}
      >
        <input
          className={classes.field}
          aria-label="Another column"
          placeholder="Another, such as spec:optimizer.lr"
          value={added}
          onChange={({ currentTarget: { value } }) => setAdded(value.trim())}
        />
        <Button type="submit" size="compact-sm" variant="default">
          Add
        </Button>
      </form>
      <Button size="compact-sm" variant="default" onClick={() => onChange(undefined)}>
        Reset
      </Button>
    </div>
  );
}

function noteOf({ actions, distinct }: Found): string {
  if (distinct === 1) return actions === 1 ? "1 action" : `the same in ${actions.toLocaleString("en")}`;
  return `${distinct.toLocaleString("en")} values`;
}
