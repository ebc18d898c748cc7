/**
 * Names in URLs. Proxies may decode %2F, and browsers resolve `..`, so `~` is written as `~0` and `/` as
 * `~1`, as in JSON pointers (RFC 6901); names consisting of dots, and none at all, get the prefix `~2`.
 */
export function toSegment(name: string): string {
  const safe = name.replaceAll("~", "~0").replaceAll("/", "~1");
  return /^\.{0,2}$/.test(safe) ? `~2${safe}` : safe;
}

export function fromSegment(segment: string): string {
  return segment.replace(/^~2/, "").replaceAll("~1", "/").replaceAll("~0", "~");
}

export interface RunName {
  project: string;
  domain: string;
  name: string;
}

/** The search text; for the URL of a run its project, domain and name. */
export function searchTerm(typed: string): string {
  if (!/^https?:\/\/\S+$/.test(typed) || !URL.canParse(typed)) return typed;
  const [, path] = /\/runs\/([^/]+\/[^/]+\/[^/]+)(?:\/logs)?\/?$/.exec(new URL(typed).pathname) ?? [];
  return path ? path.split("/").map(decodeURIComponent).map(fromSegment).join("/") : typed;
}

/** The parameters of a run's route. */
export function runParams(run: RunName): RunName {
  return { project: toSegment(run.project), domain: toSegment(run.domain), name: toSegment(run.name) };
}
