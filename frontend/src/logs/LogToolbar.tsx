import { type ReactNode, useRef, useState } from "react";
import { useHotkeys } from "../ui/hotkeys";
import { LEVELS, type Level, isLevel } from "./levels";
import classes from "./LogViewer.module.css";

/** What of a log is shown, and how. */
export interface LogView {
  attempt?: number | undefined;
  stream?: string | undefined;
  /** The least severe level. */
  level?: Level | undefined;
  /** The text that is searched for. */
  term?: string | undefined;
  line?: number | undefined;
  /** The name of a linked log; otherwise the lines that the executor sent. */
  link?: string | undefined;
}

interface Props {
  view: LogView;
  onView: (change: Partial<LogView>) => void;
  streams: readonly string[];
  attempts: readonly number[];
  /** Whether lines have levels of their own. */
  hasLevels: boolean;
  /** Searches for the text from the current line on. */
  onFind: (term: string, direction: 1 | -1) => void;
  /** What the search has found, for screen readers too. */
  found: string;
  /** Whether `/` goes to the search. */
  hasKeys: boolean;
  children: ReactNode;
}

const AND_ABOVE: Record<Level, string> = {
  DEBUG: "Debug and above",
  INFO: "Info and above",
  WARNING: "Warnings and errors",
  ERROR: "Errors",
  CRITICAL: "Critical errors",
};

/** Chooses what of a log is shown, and searches it. */
export function LogToolbar({ view, onView, streams, attempts, onFind, found, hasKeys, ...props }: Props) {
  return (
    <div className={classes.bar} role="group" aria-label="What of the log is shown">
      {attempts.length > 1 ? (
        <select
          className={classes.select}
          aria-label="Attempt"
          value={view.attempt}
          onChange={({ currentTarget: { value } }) =>
            onView({ attempt: Number(value), line: undefined, link: undefined })
          }
        >
          {attempts.map((attempt) => (
            <option key={attempt} value={attempt}>
              Attempt {attempt}
            </option>
          ))}
        </select>
      ) : null}
      {streams.length > 1 ? (
        <select
          className={classes.select}
          aria-label="Stream"
          value={view.stream ?? ""}
          onChange={({ currentTarget: { value } }) => onView({ stream: value || undefined })}
        >
          <option value="">All streams</option>
          {streams.map((stream) => (
            <option key={stream} value={stream}>
              {stream}
            </option>
          ))}
        </select>
      ) : null}
      {props.hasLevels ? (
        <select
          className={classes.select}
          aria-label="Level"
          title="Lines whose level the executor reported"
          value={view.level ?? ""}
          onChange={({ currentTarget: { value } }) => onView({ level: isLevel(value) ? value : undefined })}
        >
          <option value="">All levels</option>
          {LEVELS.map((level) => (
            <option key={level} value={level}>
              {AND_ABOVE[level]}
            </option>
          ))}
        </select>
      ) : null}
      <Search initial={view.term ?? ""} onFind={onFind} found={found} hasKeys={hasKeys} />
      {props.children}
    </div>
  );
}

type SearchProps = { initial: string } & Pick<Props, "onFind" | "found" | "hasKeys">;

function Search({ initial, onFind, found, hasKeys }: SearchProps) {
  const input = useRef<HTMLInputElement>(null);
  useHotkeys(hasKeys ? [{ keys: "/", what: "Search the log", run: () => input.current?.focus() }] : []);
  const [typed, setTyped] = useState(initial);
  return (
    <form
      role="search"
      className={classes.search}
      onSubmit={(event) => {
        event.preventDefault();
        onFind(typed, 1);
      }}
    >
      <input
        ref={input}
        type="search"
        aria-label="Search the log"
        placeholder="Search the log"
        value={typed}
        onChange={({ currentTarget: { value } }) => {
          setTyped(value);
          if (!value) onFind("", 1);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && event.shiftKey) {
            event.preventDefault();
            onFind(typed, -1);
          }
        }}
      />
      <button
        type="button"
        aria-label="Previous match"
        title="Previous match (Shift ↵)"
        onClick={() => onFind(typed, -1)}
      >
        ↑
      </button>
      <button type="submit" aria-label="Next match" title="Next match (↵)">
        ↓
      </button>
      <span role="status" className={classes.found}>
        {found}
      </span>
    </form>
  );
}
