import { Button, Checkbox, Menu, Popover } from "@mantine/core";
import { useState } from "react";
import type { RunFilter } from "../gql/graphql";
import { mayWithin, useGrants } from "../live/access";
import { later } from "../ui/later";
import { PhaseBadge } from "../ui/PhaseBadge";
import { PHASES, phaseStyle } from "../ui/phases";
import { SearchField } from "../ui/SearchField";
import { columns } from "./columns";
import { MoreFilters } from "./MoreFilters";
import { ProjectSelect } from "./ProjectSelect";
import classes from "./RunsPage.module.css";
import { type RunSearch, isFiltered } from "./runSearch";
import { SavedViews } from "./SavedViews";

const AbortDialog = later(async () => (await import("../aborts/AbortDialog")).AbortDialog);

interface Props {
  search: RunSearch;
  filter: RunFilter;
  onChange: (search: RunSearch) => void;
  /** The same for typed text, as one history entry. */
  onType: (search: RunSearch) => void;
  held: boolean;
  onHold: (held: boolean) => void;
  waiting: number;
  onShow: () => void;
  /** Ids of hidden columns. */
  hidden: readonly string[];
  onHide: (ids: string[]) => void;
}

/** The toolbar of the list: filters, columns, and pausing updates. */
export function RunsToolbar(props: Props) {
  const { search, filter, onChange, onType, held, onHold, waiting, onShow, hidden, onHide } = props;
  const [aborting, setAborting] = useState(false);
  const mayAbort = mayWithin(useGrants(), "ABORT", search.project, search.domain);
  return (
    <div className={classes.bar}>
      <SearchField
        label="Search the runs"
        placeholder="Runs, tasks, error codes"
        value={search.q ?? ""}
        onChange={(q) => onType({ ...search, q: q || undefined })}
      />
      <ProjectSelect search={search} onChange={onChange} />
      <PhaseFilter search={search} onChange={onChange} />
      <MoreFilters search={search} onChange={onChange} />
      <SavedViews search={search} onChange={onChange} />
      <span className={classes.space} />
      {waiting > 0 ? (
        <Button size="compact-sm" variant="light" onClick={onShow} data-testid="waiting">
          {search.sort === undefined
            ? `Show ${waiting.toLocaleString("en")} new`
            : `Sort again: ${waiting.toLocaleString("en")} changed`}
        </Button>
      ) : null}
      {search.sort === undefined ? (
        <Button
          size="compact-sm"
          variant={held ? "filled" : "default"}
          aria-pressed={held}
          title="While paused, no run is added, removed or moved; visible runs still update (h)"
          onClick={() => onHold(!held)}
        >
          {held ? "Updates paused" : "Pause updates"}
        </Button>
      ) : null}
      <Popover position="bottom-end" withinPortal trapFocus>
        <Popover.Target>
          <Button size="compact-sm" variant="default">
            Columns
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          {columns.map(({ id, title }) => (
            <Checkbox
              key={id}
              size="xs"
              my={6}
              label={title}
              disabled={id === "run"}
              checked={!hidden.includes(id)}
              onChange={({ currentTarget: { checked } }) =>
                onHide(checked ? hidden.filter((other) => other !== id) : [...hidden, id])
              }
            />
          ))}
        </Popover.Dropdown>
      </Popover>
      {mayAbort === "nowhere" ? null : (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <Button size="compact-sm" variant="default" aria-label="More about these runs">
              ⋯
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item color="red" onClick={() => setAborting(true)}>
              Abort all that match…
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      {aborting ? (
        <AbortDialog
          target={{
            kind: "runs",
            filter,
            described:
              (isFiltered(search) ? "by the filter of this page" : "there is no filter: all runs") +
              (mayAbort === "everywhere" ? "" : ", where you may abort"),
          }}
          onClose={() => setAborting(false)}
        />
      ) : null}
    </div>
  );
}

interface FilterProps {
  search: RunSearch;
  onChange: (search: RunSearch) => void;
}

/** The included and the excluded phases. */
function PhaseFilter({ search, onChange }: FilterProps) {
  const toggle = (name: "phase" | "not", phase: string): void => {
    const now = search[name] ?? [];
    const next = now.includes(phase) ? now.filter((other) => other !== phase) : [...now, phase];
    onChange({ ...search, [name]: next.length ? next : undefined });
  };
  const count = (search.phase?.length ?? 0) + (search.not?.length ?? 0);
  return (
    <Popover position="bottom-start" withinPortal trapFocus>
      <Popover.Target>
        <Button size="compact-sm" variant={count ? "light" : "default"}>
          Phase{count ? ` · ${count}` : ""}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={classes.phases} role="group" aria-label="Phases">
          <span />
          <span className={classes.heading}>include</span>
          <span className={classes.heading}>exclude</span>
          {PHASES.map((phase) => {
            const { label } = phaseStyle(phase);
            return (
              <div key={phase} style={{ display: "contents" }}>
                <PhaseBadge phase={phase} />
                <Checkbox
                  size="xs"
                  aria-label={`Include ${label}`}
                  checked={search.phase?.includes(phase) ?? false}
                  onChange={() => toggle("phase", phase)}
                />
                <Checkbox
                  size="xs"
                  color="red"
                  aria-label={`Exclude ${label}`}
                  checked={search.not?.includes(phase) ?? false}
                  onChange={() => toggle("not", phase)}
                />
              </div>
            );
          })}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
