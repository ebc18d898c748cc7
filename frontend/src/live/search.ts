/** What stands behind the `?` of an address: each name with one text, or with several. */
export type Query = Record<string, string | string[]>;

export function parseQuery(text: string): Query {
  const query: Query = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const known = Object.hasOwn(query, name) ? query[name] : undefined;
    query[name] = known === undefined ? value : [...[known].flat(), value];
  }
  return query;
}

/** The address's part for these values: without those that are empty, and lists as repeated names. */
export function printQuery(query: Record<string, unknown>): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null || item === "" || item === false) continue;
      parts.append(name, item === true ? "true" : String(item as string | number));
    }
  }
  // Readable where it may be: these mean nothing special behind the question mark.
  const text = parts.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%3D", "=");
  return text ? `?${text}` : "";
}

/** One text, or nothing. */
export function text(value: unknown): string | undefined {
  const found = Array.isArray(value) ? (value[0] as unknown) : value;
  return typeof found === "string" && found !== "" ? found : undefined;
}

/** All texts of a name, or nothing. */
export function texts(value: unknown): string[] | undefined {
  const found = (Array.isArray(value) ? value : [value]).filter(
    (item): item is string => typeof item === "string" && item !== "",
  );
  return found.length ? found : undefined;
}

/** `true`, or nothing. */
export function flag(value: unknown): true | undefined {
  return text(value) === "true" || value === true ? true : undefined;
}

/**
 * Reads the part of an address that a page knows. The router adds to it whatever else the address has, which
 * is undefined here, as an empty value is.
 */
export function onlyKnown<Search extends object>(read: (query: Record<string, unknown>) => Search) {
  return (query: Record<string, unknown>): Search => ({
    ...Object.fromEntries(Object.keys(query).map((name) => [name, undefined])),
    ...read(query),
  });
}
