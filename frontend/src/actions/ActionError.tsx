import { useQuery } from "urql";
import { type FragmentType, graphql, readFragment } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { ErrorBox } from "../ui/ErrorBox";

export const ErrorBoxFragment = graphql(`
  fragment ErrorBox on ActionError {
    kind
    code
    summary
  }
`);

/**
 * The message may be a traceback of a megabyte, so it is read once and not with each change of the action.
 */
const ErrorOf = graphql(`
  query ErrorOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      error {
        ...ErrorBox
        message
      }
    }
  }
`);

interface Props {
  /** The failed action; for a run, its root. */
  id: ActionIdentifierInput;
  error: FragmentType<typeof ErrorBoxFragment>;
  /** Its latest attempt. */
  attempts: number;
  label: string;
}

/** Why an action failed. */
export function ActionError({ id, error, attempts, label }: Props) {
  const { code, summary } = readFragment(ErrorBoxFragment, error);
  // A new error has a new message.
  return <Loaded key={JSON.stringify([attempts, code, summary])} id={id} error={error} label={label} />;
}

function Loaded({ id, error: masked, label }: Omit<Props, "attempts">) {
  const error = readFragment(ErrorBoxFragment, masked);
  const [{ data, stale }] = useQuery({ query: ErrorOf, variables: { id }, requestPolicy: "network-only" });
  const message = stale ? undefined : data?.action?.error?.message;
  return <ErrorBox error={error} message={message} label={label} />;
}
