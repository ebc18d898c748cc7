import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { useReread } from "../live/useReread";
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

/** What the executor was asked to do. It never changes. */
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
    <EmptyNotice title="No spec">The executor did not say what it was asked to do.</EmptyNotice>
  ) : (
    <JsonView value={spec} name={`spec of ${id.name}`} />
  );
}

interface StateProps {
  id: ActionIdentifierInput;
  /** How often the action changed. */
  changes: number;
}

/** The executor's own text; JSON in it is shown as such. */
export function ActionState({ id, changes }: StateProps) {
  const [query, reload] = useQuery({ query: StateOf, variables: { id } });
  useReread(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The state could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the state" />;
  const state = data.action?.state;
  if (!state)
    return <EmptyNotice title="No state">The executor keeps no text about this action.</EmptyNotice>;
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
