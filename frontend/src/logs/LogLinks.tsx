import { isSafeLink } from "../ui/links";
import classes from "./LogLinks.module.css";

interface Props {
  links: readonly { name: string; uri: string }[];
}

/** Links to logs that are kept elsewhere. */
export function LogLinks({ links }: Props) {
  if (!links.length) return null;
  return (
    <div className={classes.links}>
      {links.map(({ name, uri }) =>
        isSafeLink(uri) ? (
          <a key={name} className={classes.link} href={uri} target="_blank" rel="noreferrer">
            {name} <span aria-hidden>↗</span>
          </a>
        ) : (
          <code key={name}>
            {name}: {uri}
          </code>
        ),
      )}
    </div>
  );
}
