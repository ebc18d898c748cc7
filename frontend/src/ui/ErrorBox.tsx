import { CopyButton } from "./CopyButton";
import classes from "./ErrorBox.module.css";
import { words } from "./phases";

interface Props {
  error: {
    kind: string;
    code?: string | null;
    /** The most informative line of the message. */
    summary: string;
  };
  /** The whole message, once loaded. */
  message: string | undefined;
  label: string;
}

/** An error: code and summary first, the whole message on demand. */
export function ErrorBox({ error: { kind, code, summary }, message, label }: Props) {
  const kindText = `${words(kind).toLowerCase()} error`;
  const lines = message?.trimEnd().split("\n").length ?? 1;
  return (
    <div className={classes.box} role="group" aria-label={label}>
      <div className={classes.head}>
        <strong>{code ? `${code} (${kindText})` : words(kindText)}</strong>
        <CopyButton value={message ?? summary} what="error message" />
      </div>
      <p className={classes.summary}>{summary}</p>
      {message !== undefined && message.trim() !== summary ? (
        <details className={classes.whole}>
          <summary>
            {lines > 1 ? `Whole message (${lines.toLocaleString("en")} lines)` : "Whole message"}
          </summary>
          <pre tabIndex={0}>{message}</pre>
        </details>
      ) : null}
    </div>
  );
}
