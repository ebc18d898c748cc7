import { Link } from "@tanstack/react-router";
import { useQuery } from "urql";
import { problemOf } from "../live/errors";
import { type RunName, runParams } from "../live/paths";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import classes from "./ComparePage.module.css";
import { ComparedAction } from "./documents";
import { Facts } from "./Facts";
import { factsOfActions } from "./facts";
import { JsonChanges } from "./JsonChanges";

interface ActionOf {
  run: RunName;
  name: string;
}

interface Props {
  /** Null if the action exists on the other side only. */
  before: ActionOf | null;
  after: ActionOf | null;
  /** Whether it is the runs' own action: their attributes are shown elsewhere. */
  isRun?: boolean;
  onClose?: (() => void) | undefined;
}

const idOf = ({ run, name }: ActionOf) => ({
  ...{ project: run.project, domain: run.domain },
  runName: run.name,
  name,
});
const NONE = { project: "", domain: "", runName: "", name: "" };

function useAction(of: ActionOf | null) {
  const [query, reload] = useQuery({
    query: ComparedAction,
    variables: { id: of ? idOf(of) : NONE },
    pause: !of,
    requestPolicy: "cache-and-network",
  });
  return { ...query, data: of ? query.data : undefined, reload };
}

/** What differs between two actions: attributes, spec and outputs. */
export function PairDetails({ before, after, isRun = false, onClose }: Props) {
  const [old, now] = [useAction(before), useAction(after)];
  const error = old.error ?? now.error;
  const names = [...new Set([before?.name, after?.name].filter(Boolean))].join(" → ");
  const title = isRun ? `The run itself (${names})` : names;
  const isLoading = (before && !old.data) || (after && !now.data);
  const [one, other] = [old.data?.action ?? null, now.data?.action ?? null];
  return (
    <section className={classes.details} aria-label={`Comparison of ${title}`} data-testid="pair">
      <div className={classes.head}>
        <h2>{title}</h2>
        {onClose ? (
          <button type="button" className="link-button" onClick={onClose}>
            Close
          </button>
        ) : null}
      </div>
      <p className="small">
        {before ? (
          <ActionLink of={before} text="Open it before" />
        ) : (
          <span className="faint">Not in the run before</span>
        )}
        {" · "}
        {after ? (
          <ActionLink of={after} text="Open it after" />
        ) : (
          <span className="faint">Not in the run after</span>
        )}
      </p>
      {error ? (
        <ErrorNotice
          title="The actions could not be read"
          problem={problemOf(error)}
          retry={() => {
            old.reload();
            now.reload();
          }}
        />
      ) : isLoading ? (
        <LoadingNotice what="the actions" />
      ) : !one && !other ? (
        <EmptyNotice title="There is no such action">Neither run has it.</EmptyNotice>
      ) : (
        <>
          {one && other && !isRun ? (
            <Facts facts={factsOfActions(one, other)} label="Attributes of the action" />
          ) : null}
          <h3>Spec</h3>
          <JsonChanges before={one?.spec ?? undefined} after={other?.spec ?? undefined} what="a spec" />
          <h3>Outputs of the last attempt</h3>
          <JsonChanges
            before={one?.attemptHistory[0]?.outputs ?? undefined}
            after={other?.attemptHistory[0]?.outputs ?? undefined}
            what="outputs"
          />
        </>
      )}
    </section>
  );
}

function ActionLink({ of: { run, name }, text }: { of: ActionOf; text: string }) {
  return (
    <Link
      to="/runs/$project/$domain/$name"
      params={runParams(run)}
      search={{ action: name }}
      className="link"
    >
      {text}
    </Link>
  );
}
