import { type FragmentType, readFragment } from "../gql";
import { ErrorBoxFragment } from "./ActionError";
import classes from "./LostNotice.module.css";

/** Why an action was skipped, as the executor reported it with an error. */
export function SkipReason({ error: masked }: { error: FragmentType<typeof ErrorBoxFragment> }) {
  return (
    <p className={classes.plain} role="note" data-skipped>
      <strong>Skipped:</strong> {reasonOf(readFragment(ErrorBoxFragment, masked))}
    </p>
  );
}

/** The reason as a line. */
export const reasonOf = ({ code, summary }: { code?: string | null | undefined; summary: string }): string =>
  code ? `${code}: ${summary}` : summary;
