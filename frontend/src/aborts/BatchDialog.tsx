import { Alert, Button, Group, Modal } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useSubscription } from "urql";
import { graphql } from "../gql";
import type { RunIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { BatchRuns } from "./BatchRuns";

const AbortProgressOf = graphql(`
  subscription AbortProgressOf($batch: ID!) {
    abortProgress(batch: $batch) {
      requested
      pending
      confirmed
      failed
    }
  }
`);

interface Props {
  /** The batch id returned by `abortRuns`. */
  batch: string;
  /** The runs, if they were named. */
  ids?: readonly RunIdentifierInput[] | null | undefined;
  onClose: () => void;
}

/** The progress of a bulk abort. */
export function BatchDialog({ batch, ids, onClose }: Props) {
  const [{ data, error }] = useSubscription({ query: AbortProgressOf, variables: { batch } });
  const progress = data?.abortProgress;
  return (
    <Modal opened onClose={onClose} title="Aborting" centered size="md">
      {error ? (
        <Alert color="red" role="alert">
          {problemOf(error).message}
        </Alert>
      ) : progress ? (
        <div role="status">
          <p style={{ marginTop: 0 }}>
            <strong>
              {progress.confirmed.toLocaleString("en")} of {progress.requested.toLocaleString("en")}
            </strong>{" "}
            confirmed by the executor
            {progress.failed ? `, ${progress.failed.toLocaleString("en")} failed` : ""}
            {progress.pending ? `, ${progress.pending.toLocaleString("en")} may still be running` : ""}.
          </p>
          <progress
            aria-label="Finished aborts"
            style={{ width: "100%", accentColor: "var(--accent)" }}
            max={progress.requested}
            value={progress.requested - progress.pending}
          />
        </div>
      ) : (
        <p>Aborts requested. Waiting for their progress…</p>
      )}
      {ids?.length ? <BatchRuns ids={ids} /> : null}
      <p className="faint">Aborting continues when you close this dialog.</p>
      <Group justify="flex-end" mt="md">
        <Link to="/aborts" className="link" onClick={onClose}>
          All pending aborts
        </Link>
        <Button variant="default" onClick={onClose}>
          Close
        </Button>
      </Group>
    </Modal>
  );
}
