import { Link } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { reasonOf } from "../actions/SkipReason";
import { runParams } from "../live/paths";
import { Time } from "../ui/Time";
import { type TaskRun, failureHistory } from "./failureHistory";

const RunsBefore = graphql(`
  query RunsBefore($filter: RunFilter!) {
    runs(filter: $filter, first: 100) {
      nodes {
        id
        project
        domain
        name
        phase
        createdAt
        task {
          name
          version
        }
        error {
          code
          summary
        }
      }
    }
  }
`);

interface Props {
  run: TaskRun & {
    triggeredAt?: string | null | undefined;
    functionName?: string | null | undefined;
    task?: { name: string; version: string } | null | undefined;
  };
}

/** Since when runs of the same task, or function, fail; for a failed run. */
export function SinceWhen({ run }: Props) {
  const { project, domain, task, functionName, triggeredAt, createdAt } = run;
  const what = task?.name ?? functionName;
  const same = task ? { taskName: task.name } : { functionName };
  const filter = { project, domain, ...same, endDate: triggeredAt ?? createdAt };
  const [{ data }] = useQuery({ query: RunsBefore, variables: { filter }, pause: !what });
  if (!data || !what) return null;
  const earlier = data.runs.nodes.filter((each) => each.name !== run.name);
  if (!earlier.length) return <p className="faint">This is the first run of {what}.</p>;
  const { first, count, before, versions, other } = failureHistory(run, earlier);
  return (
    <p data-since>
      {count === 1 ? (
        <strong>New failure</strong>
      ) : (
        <>
          <strong>Failing since</strong> <LinkTo run={first} />, <Time value={first.createdAt} />:{" "}
          {count.toLocaleString("en")} failed runs of {what} in a row
        </>
      )}
      {before ? (
        <>
          {" "}
          · last success: <LinkTo run={before} />, <Time value={before.createdAt} />
        </>
      ) : (
        <> · no success in the {earlier.length.toLocaleString("en")} runs before</>
      )}
      {versions ? (
        <>
          {" "}
          · version changed from <code>{versions.from}</code> to <code>{versions.to}</code>
        </>
      ) : null}
      {other ? (
        <>
          {" "}
          · <LinkTo run={other} /> had another error{other.error ? `: ${reasonOf(other.error)}` : ""}
        </>
      ) : null}
    </p>
  );
}

function LinkTo({ run }: { run: TaskRun }) {
  return (
    <Link to="/runs/$project/$domain/$name" params={runParams(run)} className="link">
      {run.name}
    </Link>
  );
}
