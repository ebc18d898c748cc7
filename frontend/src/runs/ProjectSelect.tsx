import { useQuery } from "urql";
import { graphql } from "../gql";
import classes from "./RunsPage.module.css";
import type { RunSearch } from "./runSearch";

const Projects = graphql(`
  query Projects {
    projects {
      name
      domains
    }
  }
`);

interface Props {
  search: RunSearch;
  onChange: (search: RunSearch) => void;
}

/** Selects the project and the domain. */
export function ProjectSelect({ search, onChange }: Props) {
  const [{ data }, reload] = useQuery({ query: Projects });
  // Refetched on opening, since new projects may exist.
  const refresh = (): void => reload({ requestPolicy: "network-only" });
  const projects = data?.projects ?? [];
  const names = projects.map(({ name }) => name);
  // A value from the URL is offered even if it has no runs or is not loaded yet.
  if (search.project && !names.includes(search.project)) names.push(search.project);
  const domains = new Set(
    projects
      .filter(({ name }) => !search.project || name === search.project)
      .flatMap(({ domains }) => domains),
  );
  if (search.domain) domains.add(search.domain);
  return (
    <>
      <select
        className={classes.select}
        onPointerEnter={refresh}
        onFocus={refresh}
        aria-label="Project"
        value={search.project ?? ""}
        onChange={({ currentTarget: { value } }) =>
          onChange({ ...search, project: value || undefined, domain: undefined })
        }
      >
        <option value="">All projects</option>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <select
        className={classes.select}
        onPointerEnter={refresh}
        onFocus={refresh}
        aria-label="Domain"
        value={search.domain ?? ""}
        onChange={({ currentTarget: { value } }) => onChange({ ...search, domain: value || undefined })}
      >
        <option value="">All domains</option>
        {[...domains].sort().map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </>
  );
}
