import { isSafeLink } from "./links";
import classes from "./OutLinks.module.css";

/** Links to other systems, in new tabs. */
export function OutLinks({ links }: { links: readonly { name: string; url: string }[] }) {
  if (!links.length) return null;
  return (
    <nav className={classes.links} aria-label="Links to other systems">
      {links.map(({ name, url }) =>
        isSafeLink(url) || url.startsWith("mailto:") ? (
          <a key={name} href={url} target="_blank" rel="noopener noreferrer" className="link" title={url}>
            {name}
            <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden>
              <path d="M3.5 1.5h5v5M8.5 1.5l-6.5 6.5" fill="none" stroke="currentColor" strokeWidth="1.2" />
            </svg>
          </a>
        ) : null,
      )}
    </nav>
  );
}
