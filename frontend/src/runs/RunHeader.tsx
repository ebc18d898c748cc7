import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { AbortNotice } from "../aborts/AbortNotice";
import { ActionError } from "../actions/ActionError";
import { LostNotice, PlaceholderNotice } from "../actions/LostNotice";
import { ProgressLine } from "../actions/ProgressLine";
import { SkipReason } from "../actions/SkipReason";
import { type FragmentType, graphql, readFragment } from "../gql";
import { useMayAbort } from "../live/access";
import { RunNotesFragment } from "../notes/documents";
import { useNotes } from "../notes/useNotes";
import { CopyButton } from "../ui/CopyButton";
import { later } from "../ui/later";
import { OutLinks } from "../ui/OutLinks";
import { PhaseBadge } from "../ui/PhaseBadge";
import { describeCounts, PhaseBar } from "../ui/PhaseBar";
import { hasEnded } from "../ui/phases";
import { CompareMenu } from "./CompareMenu";
import { CopyMenu } from "./CopyMenu";
import { EndNotification } from "./EndNotification";
import { RunFacts } from "./RunFacts";
import classes from "./RunHeader.module.css";

const AbortDialog = later(async () => (await import("../aborts/AbortDialog")).AbortDialog);

const RunHeaderFragment = graphql(`
  fragment RunHeader on Run {
    id
    project
    domain
    name
    phase
    attempts
    source
    labels {
      key
      value
    }
    task {
      name
      version
    }
    functionName
    environmentName
    trigger {
      taskName
      name
      revision
    }
    createdBy {
      kind
      subject
      name
    }
    error {
      ...ErrorBox
    }
    abort {
      ...AbortNotice
    }
    ...RunNotes
    links {
      name
      url
    }
    executor
    rootAction {
      id
      name
      isLost
      isPlaceholder
      progress {
        ...ProgressLine
      }
    }
    createdAt
    triggeredAt
    startedAt
    endedAt
    phaseCounts {
      phase
      count
    }
  }
`);

interface Props {
  run: FragmentType<typeof RunHeaderFragment>;
  /** Shown after the error. */
  children?: React.ReactNode;
}

/** The header of a run: the error first, then attributes, creator and progress. */
export function RunHeader({ run: masked, children }: Props) {
  const run = readFragment(RunHeaderFragment, masked);
  const [aborting, setAborting] = useState(false);
  const { project, domain, name } = run;
  const rootId = { project, domain, runName: name, name: run.rootAction.name };
  const isAbortable = useMayAbort(project, domain) && !hasEnded(run.phase);
  const { button, notes } = useNotes(rootId, readFragment(RunNotesFragment, run));
  return (
    <header className={classes.header}>
      <div className={classes.top}>
        <nav aria-label="Project and domain of this run" className={`${classes.crumbs} faint`}>
          <Link to="/runs" search={{ project }}>
            {project}
          </Link>{" "}
          /{" "}
          <Link to="/runs" search={{ project, domain }}>
            {domain}
          </Link>{" "}
          /
        </nav>
        <div className={classes.heading}>
          <h1 className={classes.title} title={name}>
            {name}
          </h1>
          <CopyButton value={name} what="run name" />
          <PhaseBadge phase={run.phase} />
          {run.attempts > 1 ? <span className="faint nowrap">attempt {run.attempts}</span> : null}
        </div>
        <div className={classes.actions}>
          <EndNotification run={run} />
          <CompareMenu run={run} />
          <CopyMenu run={run} />
          {isAbortable ? (
            <Button size="compact-sm" color="red" variant="light" onClick={() => setAborting(true)}>
              Abort
            </Button>
          ) : null}
        </div>
      </div>
      {run.rootAction.isLost ? (
        <div className={classes.notice}>
          <LostNotice executor={run.executor} />
        </div>
      ) : null}
      {run.rootAction.isPlaceholder ? (
        <div className={classes.notice}>
          <PlaceholderNotice />
        </div>
      ) : null}
      {run.error ? (
        <div className={classes.notice}>
          {run.phase === "SKIPPED" ? (
            <SkipReason error={run.error} />
          ) : (
            <ActionError id={rootId} error={run.error} attempts={run.attempts} label="What went wrong" />
          )}
        </div>
      ) : null}
      {children}
      {run.abort ? (
        <div className={classes.notice}>
          <AbortNotice abort={run.abort} id={rootId} />
        </div>
      ) : null}
      {notes ? <div className={classes.notice}>{notes}</div> : null}
      <div className={classes.progress}>
        <PhaseBar counts={run.phaseCounts} label="All actions" />
        <span className="faint small">{describeCounts(run.phaseCounts)}</span>
        {button}
      </div>
      {run.rootAction.progress ? (
        <div className={classes.rootProgress}>
          <ProgressLine progress={run.rootAction.progress} hasEnded={hasEnded(run.phase)} />
        </div>
      ) : null}
      <RunFacts run={run} />
      <OutLinks links={run.links} />
      {aborting ? (
        <AbortDialog
          target={{ kind: "run", id: { project, domain, name } }}
          onClose={() => setAborting(false)}
        />
      ) : null}
    </header>
  );
}
