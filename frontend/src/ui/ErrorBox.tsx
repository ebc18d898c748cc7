import classes from "./ErrorBox.module.css";
import { words } from "./phases";

interface Props {
  error: { kind: string; code?: string | null; message: string };
  label: string;
}

/** What went wrong in a run: whose fault it is, the code to look for, and the message as it was written. */
export function ErrorBox({ error: { kind, code, message }, label }: Props) {
  return (
    <div className={classes.box} role="group" aria-label={label}>
      <strong>
        {words(kind)} error{code ? ` ${code}` : ""}
      </strong>
      <pre>{message}</pre>
    </div>
  );
}
