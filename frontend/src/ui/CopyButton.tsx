import { useState } from "react";
import classes from "./CopyButton.module.css";

interface Props {
  value: string;
  /** What is copied, such as "run name". */
  what: string;
}

export function CopyButton({ value, what }: Props) {
  const [said, setSaid] = useState<"" | "Copied" | "Not copied">("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(value);
      setSaid("Copied");
    } catch {
      setSaid("Not copied");
    }
    setTimeout(() => setSaid(""), 1_500);
  };
  return (
    <button
      type="button"
      className={classes.copy}
      title={said || `Copy ${what}`}
      aria-label={`Copy ${what}`}
      onClick={(event) => {
        event.stopPropagation();
        void copy();
      }}
    >
      <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden>
        {said === "Copied" ? (
          <path d="M3 8.5l3 3 7-7" fill="none" stroke="currentColor" strokeWidth="1.8" />
        ) : (
          <path
            d="M5.5 5.5h7v8h-7zM10.5 5V2.5h-7v8H5"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.4"
            strokeLinejoin="round"
          />
        )}
      </svg>
      <span className="only-read" aria-live="polite">
        {said}
      </span>
    </button>
  );
}
