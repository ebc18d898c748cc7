import { useEffect, useRef, useState } from "react";
import { useHotkeys } from "./hotkeys";
import classes from "./SearchField.module.css";

interface Props {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
}

/** Debounce time of typing in milliseconds. */
const PAUSE = 200;

/** The search field of a page: `/` focuses it, Escape leaves it. */
export function SearchField({ label, placeholder, value, onChange }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(value);
  const [reported, setReported] = useState(value);
  /** The reported text, until it returns as the value. */
  const [sent, setSent] = useState<string | null>(null);
  if (reported !== value) {
    setReported(value);
    setSent(null);
    // Changed from outside: a link, going back, a saved view.
    if (value !== typed.trim() && value !== sent) setTyped(value);
  }
  const latest = useRef(onChange);
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => {
      setSent(typed.trim());
      latest.current(typed.trim());
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [typed, value]);
  useHotkeys([{ keys: "/", what: "Search", run: () => input.current?.focus() }]);
  return (
    <span className={classes.field}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden>
        <circle cx="7" cy="7" r="4.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
        <path d="M10.5 10.5L14 14" stroke="currentColor" strokeWidth="1.5" />
      </svg>
      <input
        ref={input}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (typed) setTyped("");
          else event.currentTarget.blur();
        }}
      />
      {typed ? null : <kbd aria-hidden>/</kbd>}
    </span>
  );
}
