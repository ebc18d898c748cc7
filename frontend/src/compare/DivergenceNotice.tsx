import type { Action } from "../actions/useForest";
import { formatDuration } from "../ui/durations";
import { phaseStyle } from "../ui/phases";
import classes from "./ComparePage.module.css";
import { type Difference, factorOf } from "./difference";
import { nameOf } from "./PairList";
import type { Differences } from "./useDifferences";

interface Props {
  divergence: Differences["divergence"];
  onChoose: (name: string) => void;
}

/** Where two runs part. */
export function DivergenceNotice({ divergence: { outcome, slower }, onChoose }: Props) {
  const link = (difference: Difference<Action>) => (
    <button type="button" className="link-button" onClick={() => onChoose(nameOf(difference))}>
      {nameOf(difference)}
    </button>
  );
  return (
    <div className={classes.divergence} data-testid="divergence">
      {outcome ? (
        <p>
          <strong>First difference</strong> after {formatDuration(outcome.at)}: {link(outcome.difference)}{" "}
          {inWords(outcome.difference)}
        </p>
      ) : (
        <p>Each action has the same outcome in both runs.</p>
      )}
      {slower ? (
        <p>
          <strong>First slower action</strong> after {formatDuration(slower.at)}: {link(slower.difference)}{" "}
          took {formatDuration(slower.difference.afterMs ?? 0)} instead of{" "}
          {formatDuration(slower.difference.beforeMs ?? 0)} (
          {factorOf(slower.difference.beforeMs, slower.difference.afterMs)})
        </p>
      ) : null}
    </div>
  );
}

function inWords({ kind, before, after }: Difference<Action>): string {
  if (kind === "added") return "is only in the run after";
  if (kind === "removed") return "is only in the run before";
  if (kind === "error") return "failed with another error";
  const name = (action: Action | null): string => phaseStyle(action?.phase ?? "").label.toLowerCase();
  return `is ${name(after)}, it was ${name(before)}`;
}
