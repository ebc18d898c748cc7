import { Alert, Button, Group, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput, RunFilter, RunIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { announce } from "../ui/announce";
import { BatchDialog } from "./BatchDialog";
import { isEmpty, useMatching } from "./useMatching";

const AbortRun = graphql(`
  mutation AbortRun($input: AbortRunInput!) {
    abortRun(input: $input) {
      requested
      run {
        id
        phase
        abort {
          ...AbortNotice
        }
      }
    }
  }
`);

const AbortAction = graphql(`
  mutation AbortAction($input: AbortActionInput!) {
    abortAction(input: $input) {
      requested
      action {
        id
        phase
        abort {
          ...AbortNotice
        }
      }
    }
  }
`);

const AbortRuns = graphql(`
  mutation AbortRuns($input: AbortRunsInput!) {
    abortRuns(input: $input) {
      matched
      requested
      batch
    }
  }
`);

/** What to abort. */
export type AbortTarget =
  | { kind: "run"; id: RunIdentifierInput }
  | { kind: "action"; id: ActionIdentifierInput }
  | { kind: "runs"; filter: RunFilter; described: string };

interface Props {
  target: AbortTarget;
  onClose: () => void;
}

/** Asks for a reason and requests the abort. */
export function AbortDialog({ target, onClose }: Props) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [batch, setBatch] = useState<string | null>(null);
  const [, abortRun] = useMutation(AbortRun);
  const [, abortAction] = useMutation(AbortAction);
  const [, abortRuns] = useMutation(AbortRuns);
  const matching = useMatching(target.kind === "runs" ? target.filter : null);

  const ask = async (): Promise<string> => {
    const why = reason.trim() || null;
    if (target.kind === "run") {
      const { data, error } = await abortRun({ input: { id: target.id, reason: why } });
      if (!data) throw new Error(problemOf(error).message);
      return data.abortRun.requested ? "Abort requested" : "The run had ended already: nothing was changed";
    }
    if (target.kind === "action") {
      const { data, error } = await abortAction({ input: { id: target.id, reason: why } });
      if (!data) throw new Error(problemOf(error).message);
      return data.abortAction.requested
        ? "Abort requested"
        : "The action had ended already: nothing was changed";
    }
    const { filter } = target;
    const input = { filter, all: isEmpty(filter), reason: why, dryRun: false };
    const { data, error } = await abortRuns({ input });
    if (!data) throw new Error(problemOf(error).message);
    setBatch(data.abortRuns.batch ?? null);
    return `Abort of ${runs(data.abortRuns.requested)} requested`;
  };

  const submit = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      announce(await ask());
      if (target.kind !== "runs") onClose();
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
    }
  };

  if (batch)
    return (
      <BatchDialog
        batch={batch}
        ids={target.kind === "runs" ? target.filter.ids : undefined}
        onClose={onClose}
      />
    );
  const count = matching.count;
  const nothing = target.kind === "runs" && !count;
  return (
    <Modal opened onClose={onClose} title={TITLES[target.kind]} centered size="md">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p style={{ marginTop: 0, overflowWrap: "anywhere" }}>
          {target.kind === "runs" ? (
            <>
              {matching.problem ? null : count === null ? (
                "Counting what matches…"
              ) : (
                <>
                  <strong>{count === 0 ? "No unfinished run matches" : runs(count)}</strong>
                  {count === 0 ? "" : " not finished"} ({target.described}).
                </>
              )}
            </>
          ) : (
            <>
              <strong>{target.id.name}</strong>
              {target.kind === "run" ? " and everything under it" : ""} will be stopped. What has ended
              already stays as it ended.
            </>
          )}
        </p>
        <Textarea
          label="Reason"
          description="Optional. It is stored and shown with the abort."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          autosize
          minRows={2}
          data-autofocus
          disabled={nothing}
        />
        {(problem ?? matching.problem) ? (
          <Alert color="red" mt="sm" role="alert">
            {problem ?? matching.problem}
          </Alert>
        ) : null}
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={onClose}>
            Keep running
          </Button>
          <Button type="submit" color="red" loading={busy} disabled={nothing}>
            {target.kind === "runs" && count ? `Abort ${runs(count)}` : "Abort"}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

const TITLES = { run: "Abort this run?", action: "Abort this action?", runs: "Abort these runs?" };

const runs = (count: number): string => (count === 1 ? "1 run" : `${count.toLocaleString("en")} runs`);
