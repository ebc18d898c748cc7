import { useMemo, useState } from "react";
import type { Json } from "../ui/json";
import classes from "./ComparePage.module.css";
import { type JsonChange, diffJson, excerpts } from "./jsonDiff";

interface Props {
  /** Undefined if there is none. */
  before: unknown;
  after: unknown;
  what: string;
}

/** Differences shown in an object or an array at first. */
const FEW = 100;
/** Characters of equal entries that are shown. */
const MOST_TEXT = 4_000;

/** The difference of two JSON documents, key by key. */
export function JsonChanges({ before, after, what }: Props) {
  const { change, count, isCut } = useMemo(
    () => diffJson(before as Json | undefined, after as Json | undefined),
    [before, after],
  );
  if (before === undefined && after === undefined) return <p className="faint">Neither has {what}.</p>;
  return (
    <div className={classes.json} data-changes={count} role="group" aria-label={`Difference of ${what}`}>
      {isCut ? (
        <p className="faint">Too large to be compared in full: there may be further differences.</p>
      ) : null}
      {change ? <Change change={change} depth={0} /> : <p className="faint">Equal.</p>}
    </div>
  );
}

function Change({ change, depth }: { change: JsonChange; depth: number }) {
  const [most, setMost] = useState(FEW);
  const [all, setAll] = useState(false);
  const { key, kind, before, after, children, equal } = change;
  const indent = { paddingLeft: Math.min(depth, 20) * 14 };
  const label = key === null ? null : <span className={classes.key}>{key}: </span>;
  if (kind !== "inside") {
    const [old, now] = excerpts(before, after);
    return (
      <div style={indent} data-change={kind}>
        {label}
        {kind === "added" ? null : (
          <del className={classes.old}>
            <span className="only-read">before </span>
            {old}
          </del>
        )}
        {kind === "removed" ? null : (
          <ins className={classes.now}>
            <span className="only-read">after </span>
            {now}
          </ins>
        )}
      </div>
    );
  }
  return (
    <>
      {key === null ? null : <div style={indent}>{label}</div>}
      {children.slice(0, most).map((child) => (
        <Change key={String(child.key)} change={child} depth={key === null ? depth : depth + 1} />
      ))}
      {children.length > most ? (
        <button type="button" className="link-button" onClick={() => setMost(most + FEW)}>
          {(children.length - most).toLocaleString("en")} more differences
        </button>
      ) : null}
      {equal.length ? (
        <div style={{ paddingLeft: (Math.min(depth, 20) + (key === null ? 0 : 1)) * 14 }}>
          <button type="button" className="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
            {equal.length.toLocaleString("en")} equal {equal.length === 1 ? "entry" : "entries"}
          </button>
          {all ? <pre className={classes.equal}>{equalText(after ?? before, equal)}</pre> : null}
        </div>
      ) : null}
    </>
  );
}

/** The equal entries as text, as many as fit. */
function equalText(value: Json | undefined, keys: readonly (string | number)[]): string {
  const lines: string[] = [];
  let length = 0;
  for (const key of keys) {
    const line = `${key}: ${JSON.stringify((value as Record<string | number, Json>)[key])}`.slice(
      0,
      MOST_TEXT,
    );
    length += line.length;
    if (length > MOST_TEXT) return [...lines, "…"].join("\n");
    lines.push(line);
  }
  return lines.join("\n");
}
