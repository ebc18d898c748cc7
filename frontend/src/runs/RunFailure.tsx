import { useMemo, useState } from "react";
import { failureGroups, hasFailed, moreErrors } from "../actions/failures";
import { reasonOf } from "../actions/SkipReason";
import { type ActionForest, useForestVersion } from "../actions/useForest";
import { type FragmentType, graphql, readFragment } from "../gql";
import { taskOf, titleOf } from "../history/task";
import { SinceWhen } from "../history/SinceWhen";
import { useNeighbours } from "../history/useNeighbours";
import { useHotkeys } from "../ui/hotkeys";
import classes from "./RunFailure.module.css";

const RunFailureFragment = graphql(`
  fragment RunFailure on Run {
    id
    project
    domain
    name
    phase
    functionName
    task {
      name
      version
    }
    cursor
    createdAt
    error {
      code
      summary
    }
  }
`);

interface Props {
  run: FragmentType<typeof RunFailureFragment>;
  forest: ActionForest;
  /** Opens an action. */
  onSelect: (name: string) => void;
}

/** Groups that are shown at first. */
const FEW = 3;

/** Which actions of a run failed, by their errors, and since when runs of its task fail. */
export function RunFailure({ run: masked, forest, onSelect }: Props) {
  const run = readFragment(RunFailureFragment, masked);
  const neighbours = useNeighbours(run);
  const version = useForestVersion(forest, 1_000, "version");
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place
  const groups = useMemo(() => failureGroups(forest), [forest, version]);
  const [all, setAll] = useState(false);
  const [first] = groups;
  useHotkeys([
    { keys: "f", what: "Open the first failed action", run: () => first && onSelect(first.first) },
  ]);
  const isFailed = hasFailed(run.phase);
  if (!isFailed && !first) return null;
  const shown = all ? groups : groups.slice(0, FEW);
  return (
    <section className={classes.failure} aria-label="Failures">
      {isFailed && neighbours ? (
        <SinceWhen run={run} earlier={neighbours.earlier} what={titleOf(taskOf(run))} />
      ) : null}
      {first ? (
        <ul className={classes.groups} aria-label="Failed actions by error">
          {shown.map(({ key, error, count, first }) => (
            <li key={key} data-failure={first}>
              <span className={classes.count}>
                {count === 1 ? "1 action" : `${count.toLocaleString("en")} actions`}
              </span>
              <span className={`${classes.reason} cut`} title={error?.summary}>
                {error ? reasonOf(error) : "failed without an error"}
              </span>
              <button
                type="button"
                className="link-button"
                title={`Open ${first}`}
                onClick={() => onSelect(first)}
              >
                {count === 1 ? first : `first: ${first}`}
              </button>
            </li>
          ))}
          {groups.length > FEW ? (
            <li>
              <button type="button" className="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
                {all ? "Fewer errors" : moreErrors(groups.length - FEW)}
              </button>
            </li>
          ) : null}
        </ul>
      ) : null}
    </section>
  );
}
