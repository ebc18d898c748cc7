import { useId, useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput, ArtifactsOfQuery } from "../gql/graphql";
import { useApi } from "../live/api";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { formatBytes } from "../ui/bytes";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { Time } from "../ui/Time";
import classes from "./Artifacts.module.css";
import { ArtifactView } from "./ArtifactView";
import { KINDS, openAtFirst, viewOf } from "./views";

const ArtifactsOf = graphql(`
  query ArtifactsOf($id: ActionIdentifierInput!, $attempt: Int) {
    action(id: $id) {
      id
      attempts
      artifacts(attempt: $attempt, last: 1000) {
        attempt
        kind
        name
        mediaType
        digest
        size
        createdAt
        url
      }
    }
  }
`);

type Artifact = NonNullable<ArtifactsOfQuery["action"]>["artifacts"][number];

const TITLES: Record<string, string> = {
  REPORT: "Reports",
  OUTPUTS: "Outputs",
  INPUTS: "Inputs",
  FILE: "Files",
};

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
}

/** The files of an action's attempts: one attempt at a time, the latest first. */
export default function ActionArtifacts({ id, changes }: Props) {
  const [chosen, setChosen] = useState<number>();
  const [query, reload] = useQuery({ query: ArtifactsOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The files could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the files" />;
  const { artifacts = [] } = data.action ?? {};
  if (!artifacts.length) {
    return <EmptyNotice title="No files">The executor has stored no inputs, outputs or reports.</EmptyNotice>;
  }
  const attempts = [...new Set(artifacts.map(({ attempt }) => attempt))].sort((a, b) => a - b);
  const attempt = chosen ?? attempts.at(-1);
  const shown = artifacts.filter((artifact) => artifact.attempt === attempt);
  const open = openAtFirst(shown);
  return (
    <>
      {attempts.length > 1 ? (
        <label className={classes.attempt}>
          Files of{" "}
          <select value={attempt} onChange={({ currentTarget: { value } }) => setChosen(Number(value))}>
            {attempts.map((number) => (
              <option key={number} value={number}>
                attempt {number}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      {KINDS.map((kind) => {
        const members = shown.filter((artifact) => artifact.kind === kind);
        return members.length ? (
          <section key={kind} className={classes.group} aria-label={TITLES[kind]}>
            <h4>{TITLES[kind]}</h4>
            <ul className={classes.list}>
              {members.map((artifact) => (
                <ArtifactItem
                  key={`${artifact.attempt} ${artifact.name} ${artifact.digest}`}
                  artifact={artifact}
                  isOpenAtFirst={open.has(artifact)}
                />
              ))}
            </ul>
          </section>
        ) : null;
      })}
    </>
  );
}

function ArtifactItem({ artifact, isOpenAtFirst }: { artifact: Artifact; isOpenAtFirst: boolean }) {
  const { name, mediaType, size, createdAt, digest } = artifact;
  const { base } = useApi();
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  const address = new URL(artifact.url, new URL("graphql", base)).href;
  // The server signs another address from time to time: what is open stays as it is.
  const [url] = useState(address);
  const view = viewOf(artifact);
  const id = useId();
  return (
    <li className={classes.artifact} data-artifact={name}>
      <div className={classes.head}>
        {view ? (
          <button
            type="button"
            className={classes.name}
            aria-expanded={isOpen}
            aria-controls={id}
            onClick={() => setOpen(!isOpen)}
          >
            <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden data-open={isOpen}>
              <path d="M3 1.5l4 3.5-4 3.5" fill="none" stroke="currentColor" strokeWidth="1.6" />
            </svg>
            {name}
          </button>
        ) : (
          <span className={classes.name}>{name}</span>
        )}
        <span
          className="faint small nowrap"
          title={`${mediaType}\n${size.toLocaleString("en")} bytes\n${digest}`}
        >
          {formatBytes(size)}
        </span>
        <span className="faint small">
          <Time value={createdAt} />
        </span>
        <a className="link small" href={withDownload(address)} download={name.split("/").at(-1)}>
          Download
        </a>
      </div>
      {view && isOpen ? (
        <div id={id} className={classes.content}>
          <ArtifactView view={view} name={name} url={url} size={size} />
        </div>
      ) : null}
    </li>
  );
}

/** Has browsers save it as a file. */
function withDownload(url: string): string {
  const address = new URL(url);
  return `${url}${address.search ? "&" : "?"}download`;
}
