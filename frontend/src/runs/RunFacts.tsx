import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { RunHeaderFragment as Run } from "../gql/graphql";
import { Duration } from "../ui/Duration";
import { hasEnded, words } from "../ui/phases";
import { Time } from "../ui/Time";
import { taskLink, taskOf } from "../history/task";
import { ExecutorFact } from "./ExecutorFact";
import classes from "./RunHeader.module.css";

/** The attributes of a run. */
export function RunFacts({ run }: { run: Run }) {
  const { task, trigger, createdBy, labels } = run;
  const facts: [string, React.ReactNode][] = [
    [
      "Duration",
      <span key="d" title="From creation to end, waiting included">
        <Duration from={run.createdAt} to={run.endedAt} ticks={!hasEnded(run.phase)} />
      </span>,
    ],
    ["Created", <Time key="c" value={run.createdAt} />],
    ["Triggered", run.triggeredAt ? <Time key="t" value={run.triggeredAt} /> : null],
    ["Started", run.startedAt ? <Time key="s" value={run.startedAt} /> : null],
    ["Ended", run.endedAt ? <Time key="e" value={run.endedAt} /> : null],
    [
      "Task",
      task ? (
        <>
          <Link {...taskLink(taskOf(run))} className="link" title="The last runs of this task side by side">
            {task.name}
          </Link>{" "}
          <span className="faint">{task.version}</span>
        </>
      ) : null,
    ],
    [
      "Function",
      run.functionName ? (
        <Link to="/runs" search={{ function: run.functionName }} className="link">
          {run.functionName}
        </Link>
      ) : null,
    ],
    ["Environment", run.environmentName],
    [
      "By",
      createdBy ? (
        <Link to="/runs" search={{ by: createdBy.name ?? createdBy.subject }} className="link">
          {createdBy.name ?? createdBy.subject}
        </Link>
      ) : null,
    ],
    ["Source", run.source ? words(run.source) : null],
    [
      "Trigger",
      trigger ? `${trigger.name}${trigger.revision == null ? "" : `, revision ${trigger.revision}`}` : null,
    ],
    [
      "Labels",
      labels.length ? (
        <span className={classes.labels}>
          {labels.map(({ key, value }) => (
            <Link key={key} to="/runs" search={{ label: [`${key}=${value}`] }} className={classes.label}>
              {key}={value}
            </Link>
          ))}
        </span>
      ) : null,
    ],
  ];
  const [all, setAll] = useState(false);
  return (
    <dl className={classes.facts} data-all={all}>
      {facts.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
      <ExecutorFact
        id={{ project: run.project, domain: run.domain, name: run.name }}
        hasEnded={hasEnded(run.phase)}
      />
      <div className={classes.more}>
        <dt className="only-read">More</dt>
        <dd>
          <button type="button" className="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "Less" : "More"}
          </button>
        </dd>
      </div>
    </dl>
  );
}
