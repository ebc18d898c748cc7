/**
 * Names in addresses. A proxy may turn %2F into a slash, and a browser takes `..` for the folder above, so
 * these are written otherwise: `~` as `~0` and `/` as `~1`, as in JSON pointers (RFC 6901), and names of
 * dots alone with `~2` in front.
 */
export function toSegment(name: string): string {
  const safe = name.replaceAll("~", "~0").replaceAll("/", "~1");
  return /^\.{1,2}$/.test(safe) ? `~2${safe}` : safe;
}

export function fromSegment(segment: string): string {
  return segment.replace(/^~2/, "").replaceAll("~1", "/").replaceAll("~0", "~");
}

export interface RunName {
  project: string;
  domain: string;
  name: string;
}

/** What to search for: of the address of a run, its project, domain and name. */
export function searchTerm(typed: string): string {
  if (!/^https?:\/\/\S+$/.test(typed) || !URL.canParse(typed)) return typed;
  const [, path] = /\/runs\/([^/]+\/[^/]+\/[^/]+)\/?$/.exec(new URL(typed).pathname) ?? [];
  return path ? path.split("/").map(decodeURIComponent).map(fromSegment).join("/") : typed;
}

/** The parameters of a run's route. */
export function runParams(run: RunName): RunName {
  return { project: toSegment(run.project), domain: toSegment(run.domain), name: toSegment(run.name) };
}
