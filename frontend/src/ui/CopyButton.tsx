import { useState } from "react";
import { copyText } from "./copy";
import classes from "./CopyButton.module.css";

interface Props {
  value: string;
  /** What is copied, such as "run name". */
  what: string;
}

/** How long the button shows the result, in milliseconds. */
const DISPLAY_MS = 1_500;

const SIGNS = {
  ready: "M5.5 5.5h7v8h-7zM10.5 5V2.5h-7v8H5",
  copied: "M3 8.5l3 3 7-7",
  failed: "M4 4l8 8M12 4l-8 8",
};

/** Copies a value. The button and an announcement show the result. */
export function CopyButton({ value, what }: Props) {
  const [state, setState] = useState<keyof typeof SIGNS>("ready");
  const copy = async (): Promise<void> => {
    setState((await copyText(value, what)) ? "copied" : "failed");
    setTimeout(() => setState("ready"), DISPLAY_MS);
  };
  return (
    <button
      type="button"
      className={classes.copy}
      title={`Copy ${what}`}
      aria-label={`Copy ${what}`}
      data-state={state}
      onClick={(event) => {
        event.stopPropagation();
        void copy();
      }}
    >
      <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden>
        <path d={SIGNS[state]} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" />
      </svg>
    </button>
  );
}
