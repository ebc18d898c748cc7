const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A size: `1 byte`, `512 bytes`, `1.5 KiB`, `17 MiB`. */
export function formatBytes(size: number): string {
  if (size === 1) return "1 byte";
  let value = size;
  let unit = 0;
  while (value >= 1_000 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  const text =
    unit > 0 && value < 10 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value).toLocaleString("en");
  return `${text} ${UNITS[unit] ?? ""}`;
}
