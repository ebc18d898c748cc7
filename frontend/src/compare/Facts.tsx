import { useState } from "react";
import classes from "./ComparePage.module.css";
import type { Fact } from "./facts";

/** Attributes of both sides: those that differ, and on demand the equal ones. */
export function Facts({ facts, label }: { facts: readonly Fact[]; label: string }) {
  const [all, setAll] = useState(false);
  const different = facts.filter(({ before, after }) => before !== after);
  const equal = facts.length - different.length;
  const shown = all ? facts : different;
  return (
    <div className={classes.facts}>
      {shown.length ? (
        <table aria-label={label}>
          <thead>
            <tr>
              <th scope="col" className="faint">
                {all ? "Attribute" : "What differs"}
              </th>
              <th scope="col" className="faint">
                Before
              </th>
              <th scope="col" className="faint">
                After
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ name, before, after }) => (
              <tr key={name} data-fact={name} data-differs={before !== after || undefined}>
                <th scope="row">{name}</th>
                <td>{before ?? <span className="faint">none</span>}</td>
                <td>{after ?? <span className="faint">none</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p className="faint">All attributes are equal.</p>
      )}
      {equal ? (
        <button type="button" className="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Only differences" : `${equal} equal`}
        </button>
      ) : null}
    </div>
  );
}
