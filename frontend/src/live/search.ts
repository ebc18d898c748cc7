/** The query string of a URL: each name with one value or several. */
export type Query = Record<string, string | string[]>;

export function parseQuery(text: string): Query {
  const query: Query = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const known = Object.hasOwn(query, name) ? query[name] : undefined;
    query[name] = known === undefined ? value : [...[known].flat(), value];
  }
  return query;
}

/** Serialises values to a query string: empty ones are omitted, lists repeat the name. */
export function printQuery(query: Record<string, unknown>): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null || item === "" || item === false) continue;
      parts.append(name, item === true ? "true" : String(item as string | number));
    }
  }
  // Not encoded, for readability: these have no special meaning in a query string.
  const text = parts.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%3D", "=");
  return text ? `?${text}` : "";
}

/** One string, or undefined. */
export function text(value: unknown): string | undefined {
  const found = Array.isArray(value) ? (value[0] as unknown) : value;
  return typeof found === "string" && found !== "" ? found : undefined;
}

/** All values of a name, or undefined. */
export function texts(value: unknown): string[] | undefined {
  const found = (Array.isArray(value) ? value : [value]).filter(
    (item): item is string => typeof item === "string" && item !== "",
  );
  return found.length ? found : undefined;
}

/** `true`, or undefined. */
export function flag(value: unknown): true | undefined {
  return text(value) === "true" || value === true ? true : undefined;
}

/**
 * Reads the parameters that a page knows. The router adds all other parameters, so these and empty values are
 * set to undefined.
 */
export function onlyKnown<Search extends object>(read: (query: Record<string, unknown>) => Search) {
  return (query: Record<string, unknown>): Search => ({
    ...Object.fromEntries(Object.keys(query).map((name) => [name, undefined])),
    ...read(query),
  });
}
