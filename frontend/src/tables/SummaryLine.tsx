import { useMemo } from "react";
import { failureGroups, moreErrors } from "../actions/failures";
import { reasonOf } from "../actions/SkipReason";
import type { Action, ActionForest } from "../actions/useForest";
import { formatDuration } from "../ui/durations";
import { formatMeasured } from "../ui/numbers";
import classes from "./ActionTable.module.css";
import type { Sort } from "./address";
import { type Context, idOf } from "./columns";
import { type Found, isLowerBetter } from "./found";
import { bestOf, HOW_ESTIMATED, type Summary } from "./summary";

interface Props {
  summary: Summary;
  /** The columns whose best action is named. */
  results: readonly Found[];
  forest: ActionForest;
  /** The actions that are summarised. */
  all: readonly Action[];
  context: Context;
  /** The action whose error the rows are restricted to. */
  same: string | undefined;
  onSort: (sort: Sort) => void;
  onSelect: (name: string) => void;
  onSame: (name: string | undefined) => void;
}

/** Groups of errors that are shown. */
const GROUPS = 4;

const count = (number: number): string => number.toLocaleString("en");

/** How a run stands: what has ended and failed, the slowest and the best action, and the time that is left. */
export function SummaryLine(props: Props) {
  const { summary, results, forest, all, context, same, onSort, onSelect, onSame } = props;
  const { total, ended, failed, median, slowest, left } = summary;
  const groups = useMemo(
    () => failureGroups(forest),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place, and the actions with it
    [forest, all],
  );
  return (
    <div className={classes.summary} role="group" aria-label="Summary of the actions">
      <p className={classes.facts}>
        <span>
          <strong className="number">
            {count(ended)} of {count(total)}
          </strong>{" "}
          ended
        </span>
        <span className={failed ? classes.failed : undefined}>
          <strong className="number">{count(failed)}</strong> failed
        </span>
        {median === null ? null : (
          <span title="The median run time of the actions that ended">
            median <strong className="number">{formatDuration(median)}</strong>
          </span>
        )}
        {slowest ? (
          <Ranked
            label="Slowest"
            name={slowest.name}
            value={formatDuration(slowest.ms)}
            hint="Sort by run time, the longest first"
            onSort={() => onSort({ id: "run", descending: true })}
            onSelect={onSelect}
          />
        ) : null}
        {results.map((each) => (
          <Best
            key={idOf(each)}
            found={each}
            all={all}
            context={context}
            onSort={onSort}
            onSelect={onSelect}
          />
        ))}
        {left === null ? null : (
          <span title={HOW_ESTIMATED}>
            about <strong className="number">{formatDuration(left)}</strong> left{" "}
            <span className="faint">(estimated from the median)</span>
          </span>
        )}
      </p>
      {groups.length ? (
        <ul className={classes.errors} aria-label="Failed actions by error">
          {groups.slice(0, GROUPS).map(({ key, error, count: size, first }) => (
            <li key={key}>
              <button
                type="button"
                className={classes.error}
                aria-pressed={same === first}
                title={`Only actions with this error${error ? `: ${reasonOf(error)}` : ""}`}
                onClick={() => onSame(same === first ? undefined : first)}
              >
                <span className="cut">{error ? (error.code ?? error.summary) : "without an error"}</span>
                <span className="number">×{count(size)}</span>
              </button>
            </li>
          ))}
          {groups.length > GROUPS ? <li className="faint">{moreErrors(groups.length - GROUPS)}</li> : null}
        </ul>
      ) : null}
    </div>
  );
}

interface BestProps {
  found: Found;
  all: readonly Action[];
  context: Context;
  onSort: (sort: Sort) => void;
  onSelect: (name: string) => void;
}

/** The best action by a number of its outputs or metrics. */
function Best({ found, all, context, onSort, onSelect }: BestProps) {
  const id = idOf(found);
  const lower = isLowerBetter(id);
  const best = useMemo(() => bestOf(all, id, lower, context), [all, id, lower, context]);
  return (
    <Ranked
      label={`Best ${found.path.join(".")}`}
      name={best?.name}
      value={best ? formatMeasured(best.value, found.unit) : undefined}
      hint={`Sort by ${found.path.join(".")}, the ${lower ? "lowest" : "highest"} first`}
      onSort={() => onSort({ id, descending: !lower })}
      onSelect={onSelect}
    />
  );
}

interface RankedProps {
  label: string;
  name: string | undefined;
  value: string | undefined;
  hint: string;
  onSort: () => void;
  onSelect: (name: string) => void;
}

/** A button that sorts, and the action that is first then. */
function Ranked({ label, name, value, hint, onSort, onSelect }: RankedProps) {
  return (
    <span className={classes.ranked}>
      <button type="button" className="link-button" title={hint} onClick={onSort}>
        {label}
      </button>
      {value === undefined ? null : <strong className="number">{value}</strong>}
      {name === undefined ? null : (
        <button
          type="button"
          className={`${classes.opens} link-button cut`}
          title={`Open ${name}`}
          onClick={() => onSelect(name)}
        >
          {name}
        </button>
      )}
    </span>
  );
}
