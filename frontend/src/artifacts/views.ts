/** How an artifact is shown; null if it can only be downloaded. */
export type View = "json" | "text" | "markdown" | "csv" | "parquet" | "image" | "html";

const BY_TYPE: Record<string, View> = {
  "application/json": "json",
  "text/markdown": "markdown",
  "text/x-markdown": "markdown",
  "text/csv": "csv",
  "text/tab-separated-values": "csv",
  "application/csv": "csv",
  "application/vnd.apache.parquet": "parquet",
  "application/x-parquet": "parquet",
  "text/html": "html",
  "application/xhtml+xml": "html",
  "application/yaml": "text",
  "application/x-yaml": "text",
  "application/toml": "text",
  "application/xml": "text",
  "application/sql": "text",
  "application/javascript": "text",
  "application/x-ndjson": "text",
  "application/x-sh": "text",
};

/** For types that say nothing, such as application/octet-stream. */
const BY_SUFFIX: Record<string, View> = {
  json: "json",
  md: "markdown",
  markdown: "markdown",
  csv: "csv",
  tsv: "csv",
  parquet: "parquet",
  png: "image",
  jpg: "image",
  jpeg: "image",
  gif: "image",
  webp: "image",
  avif: "image",
  svg: "image",
  html: "html",
  htm: "html",
  txt: "text",
  log: "text",
  py: "text",
  sql: "text",
  yaml: "text",
  yml: "text",
  toml: "text",
  xml: "text",
  ini: "text",
  ndjson: "text",
  jsonl: "text",
};

const IMAGES = /^image\/(png|jpeg|gif|webp|avif|svg\+xml|bmp|x-icon)$/;
const UNKNOWN = new Set(["", "application/octet-stream", "binary/octet-stream", "text/plain"]);

/** The largest sizes that are shown, in bytes: they are loaded as a whole, except for parquet files. */
const MOST: Record<View, number> = {
  json: 5e6,
  text: 5e6,
  markdown: 2e6,
  csv: 20e6,
  parquet: 2e9,
  image: 30e6,
  html: 50e6,
};

/** How an artifact is shown, by its media type, or by the suffix of its name if the type says nothing. */
export function viewOf(artifact: { name: string; mediaType: string; size: number }): View | null {
  const view = byName(artifact);
  return view && artifact.size <= MOST[view] ? view : null;
}

function byName({ name, mediaType }: { name: string; mediaType: string }): View | null {
  const type = mediaType.split(";")[0]?.trim().toLowerCase() ?? "";
  const suffix = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  if (UNKNOWN.has(type)) return lookUp(BY_SUFFIX, suffix) ?? (type === "text/plain" ? "text" : null);
  if (IMAGES.test(type)) return "image";
  if (type.endsWith("+json")) return "json";
  return lookUp(BY_TYPE, type) ?? (type.startsWith("text/") ? "text" : null);
}

const lookUp = (table: Record<string, View>, key: string): View | null =>
  Object.hasOwn(table, key) ? (table[key] ?? null) : null;

/** Kinds in the order in which they are listed: what a person most likely came for is first. */
export const KINDS = ["REPORT", "OUTPUTS", "INPUTS", "FILE"];
/** Files that are open at first. */
const MOST_OPEN = 6;
/** Bytes up to which one is. */
const SMALL = 256 * 1024;
const SMALL_IMAGE = 2 * 1024 * 1024;

/**
 * The artifacts that show themselves: small reports and outputs, or else the first image, table or text that can
 * be shown. Pages in HTML take much room: only one, if it is the first.
 */
export function openAtFirst<T extends { kind: string; name: string; mediaType: string; size: number }>(
  artifacts: readonly T[],
): ReadonlySet<T> {
  const shown = KINDS.flatMap((kind) => artifacts.filter((each) => each.kind === kind && viewOf(each)));
  const [first] = shown;
  const results = shown.filter((each) => {
    const view = viewOf(each);
    const isResult = each.kind === "REPORT" || each.kind === "OUTPUTS";
    return isResult && view !== "html" && each.size <= (view === "image" ? SMALL_IMAGE : SMALL);
  });
  const open = results.slice(0, MOST_OPEN);
  if (first?.kind === "REPORT" || !open.length) {
    const isResult = first?.kind === "REPORT" || first?.kind === "OUTPUTS";
    const one = isResult ? first : (shown.find((each) => isPicture(viewOf(each))) ?? first);
    if (one) open.unshift(one);
  }
  return new Set(open);
}

const isPicture = (view: View | null): boolean => view === "image" || view === "csv" || view === "markdown";
