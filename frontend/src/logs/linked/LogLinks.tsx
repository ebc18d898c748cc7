import type { ReactNode } from "react";
import { isSafeLink } from "../../ui/links";
import classes from "./LogLinks.module.css";

export interface LogLink {
  name: string;
  uri: string;
  isReadable: boolean;
}

interface Props {
  links: readonly LogLink[];
  /** What opens a log that can be read here. */
  opener: (name: string) => ReactNode;
  /** Shown before the links. */
  children?: ReactNode;
}

/** Logs that are kept elsewhere: each opens here if the server may read it, and always by its own link. */
export function LogLinks({ links, opener, children }: Props) {
  if (!links.length) return null;
  return (
    <div className={classes.links} role="group" aria-label="Logs of this attempt">
      {children}
      {links.map(({ name, uri, isReadable }) =>
        isReadable ? (
          <span key={name} className={classes.pair} data-log-link={name}>
            {opener(name)}
            <a
              href={uri}
              target="_blank"
              rel="noreferrer"
              aria-label={`Original of ${name}`}
              title={`Open the original in a new tab: ${uri}`}
            >
              ↗
            </a>
          </span>
        ) : isSafeLink(uri) ? (
          <a
            key={name}
            className={classes.link}
            href={uri}
            target="_blank"
            rel="noreferrer"
            data-log-link={name}
            title={`Opens in a new tab. This server does not read logs from ${new URL(uri).host}: it is not in RUNGRAPH_LOG_LINK_HOSTS.`}
          >
            {name} <span aria-hidden>↗</span>
          </a>
        ) : (
          <code key={name} data-log-link={name} title="Only http and https addresses can be opened here">
            {name}: {uri}
          </code>
        ),
      )}
    </div>
  );
}
