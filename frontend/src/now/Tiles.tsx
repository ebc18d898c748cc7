import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { phaseStyle } from "../ui/phases";
import type { Tile } from "./groups";
import classes from "./NowPage.module.css";
import { FAILED } from "./nowSearch";

/** Tiles that are shown at first. */
const FEW = 6;

interface Props {
  title: string;
  tiles: readonly Tile[];
  selected: string | undefined;
  onSelect: (id: string | undefined) => void;
  /** The runs of a tile that failed, as parameters of the list of runs. */
  failedOf: (id: string) => { project?: string | undefined; by?: string | undefined };
  /** Asks to abort all runs of a tile; without it, none may be aborted. */
  onAbort?: ((tile: Tile) => void) | undefined;
}

/** Projects or people with their runs: each filters the page. */
export function Tiles({ title, tiles, selected, onSelect, failedOf, onAbort }: Props) {
  const [all, setAll] = useState(false);
  const shown = all ? tiles : tiles.filter(({ id }, at) => at < FEW || id === selected);
  if (!tiles.length) return null;
  return (
    <section aria-label={title}>
      <h2 className={classes.heading}>{title}</h2>
      <ul className={classes.tiles}>
        {shown.map((tile) => {
          const { id, name, running, queued, failed } = tile;
          const isSelected = id !== null && id === selected;
          return (
            <li
              key={id ?? ""}
              className={classes.tile}
              data-tile={id ?? ""}
              data-selected={isSelected || undefined}
            >
              <button
                type="button"
                className={classes.select}
                aria-pressed={isSelected}
                disabled={id === null}
                title={id === name ? name : `${name} (${id ?? "no creator"})`}
                onClick={() => onSelect(isSelected || id === null ? undefined : id)}
              >
                <span className={`${classes.name} cut`}>{name}</span>
                <span className={classes.counts}>
                  <Count phase="RUNNING" what="running" count={running} />
                  <Count phase="QUEUED" what="queued" count={queued} />
                </span>
              </button>
              <span className={classes.foot}>
                {failed && id !== null ? (
                  <Link
                    to="/runs"
                    search={{ ...failedOf(id), phase: FAILED, from: "24h" }}
                    className={`link ${classes.failed}`}
                    title="Runs that began in the last 24 hours and failed"
                  >
                    <span aria-hidden>✕</span> {failed.toLocaleString("en")} failed
                  </Link>
                ) : null}
                {onAbort && id !== null && running + queued > 0 ? (
                  <button
                    type="button"
                    className={classes.abort}
                    aria-label={`Abort all runs of ${name}`}
                    onClick={() => onAbort(tile)}
                  >
                    Abort all…
                  </button>
                ) : null}
              </span>
            </li>
          );
        })}
      </ul>
      {tiles.length > shown.length ? (
        <button type="button" className="link-button" onClick={() => setAll(true)}>
          Show all {tiles.length.toLocaleString("en")}
        </button>
      ) : null}
    </section>
  );
}

function Count({ phase, what, count }: { phase: string; what: string; count: number }) {
  return (
    <span className={count ? undefined : "faint"}>
      <span aria-hidden style={{ color: phaseStyle(phase).color }}>
        {phaseStyle(phase).sign}
      </span>{" "}
      {count.toLocaleString("en")} {what}
    </span>
  );
}
