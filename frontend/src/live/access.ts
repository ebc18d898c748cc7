import { useValue } from "../ui/value";
import type { Role } from "../gql/graphql";
import { useApi } from "./api";

/** The permissions that roles grant. */
export type Permission = "READ" | "ABORT" | "WRITE" | "NOTE" | "MANAGE";

/** A role in a project and domain; null means all. */
export interface Grant {
  role: Role;
  project?: string | null;
  domain?: string | null;
}

const ALLOWS: Record<Role, readonly Permission[]> = {
  VIEWER: ["READ"],
  OPERATOR: ["READ", "ABORT", "NOTE"],
  WRITER: ["READ", "WRITE", "NOTE"],
  ADMIN: ["READ", "ABORT", "WRITE", "NOTE", "MANAGE"],
};

/**
 * Whether it is allowed in this project and domain. The server decides; this only hides what is not allowed.
 */
export function may(
  grants: readonly Grant[],
  permission: Permission,
  project: string,
  domain: string,
): boolean {
  return grants.some(
    (grant) =>
      allows(grant, permission) &&
      (grant.project ?? project) === project &&
      (grant.domain ?? domain) === domain,
  );
}

/**
 * Whether it is allowed in some, or in all, of the given projects and domains, either of which may be
 * unspecified.
 */
export function mayWithin(
  grants: readonly Grant[],
  permission: Permission,
  project?: string | null,
  domain?: string | null,
): "nowhere" | "somewhere" | "everywhere" {
  const there = grants.filter(
    (grant) =>
      allows(grant, permission) &&
      (project == null || (grant.project ?? project) === project) &&
      (domain == null || (grant.domain ?? domain) === domain),
  );
  const isEverywhere = there.some(
    (grant) => (project != null || grant.project == null) && (domain != null || grant.domain == null),
  );
  return isEverywhere ? "everywhere" : there.length ? "somewhere" : "nowhere";
}

/** A readable form, such as "operator in etl/production". */
export function describeGrant({ role, project, domain }: Grant): string {
  const name = role.toLowerCase();
  if (project == null && domain == null) return `${name} everywhere`;
  if (domain == null) return `${name} in ${project ?? ""}`;
  return project == null ? `${name} in ${domain} of every project` : `${name} in ${project}/${domain}`;
}

// A newer server may have roles that this page does not know.
const allows = ({ role }: Grant, permission: Permission): boolean =>
  Object.hasOwn(ALLOWS, role) && ALLOWS[role].includes(permission);

/** The permissions of the caller; none while unknown or signed out. */
export function useGrants(): readonly Grant[] {
  const { session } = useApi();
  const viewer = useValue(session.viewer);
  const isOver = useValue(session.isOver);
  return isOver ? NONE : (viewer?.grants ?? NONE);
}

const NONE: readonly Grant[] = [];

/** Whether the caller may abort in this project and domain. */
export function useMayAbort(project: string, domain: string): boolean {
  return may(useGrants(), "ABORT", project, domain);
}

/** Whether the caller may write notes in this project and domain. */
export function useMayNote(project: string, domain: string): boolean {
  return may(useGrants(), "NOTE", project, domain);
}
