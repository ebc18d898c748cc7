/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The path to a value, in JavaScript syntax. */
export function pathTo(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${parent}.${key}` : `${parent}[${JSON.stringify(key)}]`;
}

/** The entries of an object or an array; otherwise none. */
export function entriesOf(value: Json): [string | number, Json][] {
  if (Array.isArray(value)) return value.map((item, index) => [index, item]);
  return value && typeof value === "object" ? Object.entries(value) : [];
}

/** The paths of all values whose key or text contains `term`, and of their ancestors. */
export function findInJson(value: Json, term: string): { hits: Set<string>; ancestors: Set<string> } {
  const wanted = term.trim().toLowerCase();
  const hits = new Set<string>();
  const ancestors = new Set<string>();
  if (!wanted) return { hits, ancestors };
  const visit = (value: Json, key: string, path: string): boolean => {
    const isHit =
      key.toLowerCase().includes(wanted) || (isLeaf(value) && String(value).toLowerCase().includes(wanted));
    if (isHit) hits.add(path);
    let below = false;
    for (const [name, item] of entriesOf(value)) {
      if (visit(item, typeof name === "number" ? "" : name, pathTo(path, name))) below = true;
    }
    if (below) ancestors.add(path);
    return isHit || below;
  };
  visit(value, "", "$");
  return { hits, ancestors };
}

export function isLeaf(value: Json): value is null | boolean | number | string {
  return value === null || typeof value !== "object";
}
