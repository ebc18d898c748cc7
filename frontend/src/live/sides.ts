import { type RunName, fromSegment, toSegment } from "./paths";

/** One side of a comparison: a run, or an action of one. */
export interface Side extends RunName {
  action?: string | undefined;
}

/** `project/domain/name` or `project/domain/name/action`, each as in addresses of pages. */
export function printSide({ project, domain, name, action }: Side): string {
  const parts = action === undefined ? [project, domain, name] : [project, domain, name, action];
  return parts.map(toSegment).join("/");
}

/** Null for anything else. */
export function readSide(text: string | undefined): Side | null {
  const parts = text?.split("/").map(fromSegment) ?? [];
  const [project, domain, name, action] = parts;
  if (!project || !domain || !name || parts.length > 4 || action === "") return null;
  return { project, domain, name, action };
}

const PAGE = /\/runs\/([^/]+)\/([^/]+)\/([^/]+?)(?:\/logs)?\/?$/;

/** Typed or pasted text: the address of a run's page, with the action that it shows, or names. */
export function readTyped(typed: string): Side | null {
  const text = typed.trim();
  if (!/^https?:\/\//.test(text)) return readSide(text);
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const parts = PAGE.exec(url.pathname)?.slice(1);
  if (!parts) return null;
  try {
    const [project, domain, name] = parts.map(decodeURIComponent).map(fromSegment);
    if (!project || !domain || !name) return null;
    return { project, domain, name, action: url.searchParams.get("action") ?? undefined };
  } catch {
    // A percent sign that encodes nothing.
    return null;
  }
}
