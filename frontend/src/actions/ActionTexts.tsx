import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { JsonView } from "../ui/JsonView";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import classes from "./ActionPanel.module.css";

const SpecOf = graphql(`
  query SpecOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      spec
    }
  }
`);

const StateOf = graphql(`
  query StateOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      state
    }
  }
`);

/** The specification given to the executor. It never changes. */
export function ActionSpec({ id }: { id: ActionIdentifierInput }) {
  const [{ data, error }, reload] = useQuery({
    query: SpecOf,
    variables: { id },
    requestPolicy: "cache-first",
  });
  if (error) {
    return (
      <ErrorNotice title="The spec could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the spec" />;
  const spec = data.action?.spec;
  return spec == null ? (
    <EmptyNotice title="No spec">The executor reported no spec for this action.</EmptyNotice>
  ) : (
    <JsonView value={spec} name={`spec of ${id.name}`} />
  );
}

interface StateProps {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
}

/** The executor's state text; shown as JSON if it is JSON. */
export function ActionState({ id, changes }: StateProps) {
  const [query, reload] = useQuery({ query: StateOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The state could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the state" />;
  const state = data.action?.state;
  if (!state)
    return <EmptyNotice title="No state">The executor has stored no state for this action.</EmptyNotice>;
  const document = asDocument(state);
  return document ? (
    <JsonView value={document} name={`state of ${id.name}`} />
  ) : (
    <pre className={classes.state}>{state}</pre>
  );
}

function asDocument(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
