import { useMemo, useState } from "react";
import { CopyButton } from "./CopyButton";
import classes from "./JsonView.module.css";
import { LinkedText } from "./LinkedText";
import { type Json, entriesOf, findInJson, isLeaf, pathTo } from "./json";

interface Props {
  value: unknown;
  /** The title and the file name. */
  name: string;
}

/** Levels expanded initially. */
const OPEN = 2;
/** Entries of an array or object rendered at a time. */
const PAGE_SIZE = 200;

/** A JSON viewer: collapsible, searchable, as text, and as a download. */
export function JsonView({ value, name }: Props) {
  const [term, setTerm] = useState("");
  const [raw, setRaw] = useState(false);
  const document = value as Json;
  const text = useMemo(() => JSON.stringify(document, null, 2), [document]);
  const found = useMemo(() => findInJson(document, term), [document, term]);
  const download = (): void => {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = window.document.createElement("a");
    link.href = url;
    link.download = `${name.replace(/[^\w.-]+/g, "-")}.json`;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <div className={classes.view}>
      <div className={classes.bar}>
        <input
          type="search"
          className={classes.search}
          placeholder="Search"
          aria-label={`Search in ${name}`}
          value={term}
          onChange={(event) => setTerm(event.currentTarget.value)}
          disabled={raw}
        />
        {term.trim() ? <span className="faint small">{found.hits.size} found</span> : null}
        <span className={classes.space} />
        <button type="button" className={classes.action} aria-pressed={raw} onClick={() => setRaw(!raw)}>
          Raw
        </button>
        <button type="button" className={classes.action} onClick={download}>
          Download
        </button>
        <CopyButton value={text} what={name} />
      </div>
      <div className={classes.body} tabIndex={0} role="region" aria-label={name}>
        {raw ? (
          <pre className={classes.raw}>{text}</pre>
        ) : (
          <Entry label={null} value={document} path="$" depth={0} found={term.trim() ? found : null} />
        )}
      </div>
    </div>
  );
}

interface EntryProps {
  label: string | number | null;
  value: Json;
  path: string;
  depth: number;
  found: ReturnType<typeof findInJson> | null;
}

function Entry({ label, value, path, depth, found }: EntryProps) {
  const [byUser, setByUser] = useState<boolean | null>(null);
  const [most, setMost] = useState(PAGE_SIZE);
  const isHit = found?.hits.has(path) ?? false;
  const key = label === null ? null : <span className={classes.key}>{label}: </span>;
  const indent = { paddingLeft: depth * 14 };
  if (isLeaf(value)) {
    return (
      <div className={`${classes.line} ${isHit ? classes.hit : ""}`} style={indent}>
        {key}
        <span className={classes[value === null ? "null" : typeof value]}>
          {typeof value === "string" ? <LinkedText text={value} /> : String(value)}
        </span>
      </div>
    );
  }
  const entries = entriesOf(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  const isOpen = entries.length > 0 && (found?.ancestors.has(path) || (byUser ?? depth < OPEN));
  const isFound = ([name]: [string | number, Json]): boolean => {
    const child = pathTo(path, name);
    return !!found && (found.hits.has(child) || found.ancestors.has(child));
  };
  // Matches beyond the rendered entries are rendered too, up to a limit.
  const further = isOpen && found ? entries.slice(most).filter(isFound).slice(0, PAGE_SIZE) : [];
  const drawn = [...entries.slice(0, most), ...further];
  return (
    <>
      <div className={`${classes.line} ${isHit ? classes.hit : ""}`} style={indent}>
        <button
          type="button"
          className={classes.fold}
          aria-expanded={isOpen}
          disabled={!entries.length}
          onClick={() => setByUser(!isOpen)}
        >
          {key}
          <span className="faint">
            {open}
            {isOpen ? "" : entries.length ? ` ${entries.length} … ${close}` : close}
          </span>
        </button>
      </div>
      {isOpen
        ? drawn.map(([name, item]) => (
            <Entry
              key={name}
              label={name}
              value={item}
              path={pathTo(path, name)}
              depth={depth + 1}
              found={found}
            />
          ))
        : null}
      {isOpen && entries.length > drawn.length ? (
        <button
          type="button"
          className={classes.fold}
          style={{ paddingLeft: (depth + 1) * 14 }}
          onClick={() => setMost(most + PAGE_SIZE)}
        >
          … {entries.length - drawn.length} more
        </button>
      ) : null}
    </>
  );
}
