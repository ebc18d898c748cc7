import { formatBytes } from "./bytes";
import { formatExactly } from "./durations";

/** A number with at most five significant digits: `1,234`, `0.012346`, `1.2e-7`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e15)) return value.toPrecision(5).replace(/\.?0+(e|$)/, "$1");
  const isWhole = Number.isInteger(value) || size >= 1e5;
  return value.toLocaleString("en", isWhole ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 5 });
}

/** A measured value with its unit, which is written as in UCUM: `By`, `s`, `1`. */
export function formatMeasured(value: number, unit: string | null | undefined): string {
  if (unit === "By" && value >= 0) return formatBytes(value);
  if (unit === "By/s" && value >= 0) return `${formatBytes(value)}/s`;
  if (unit === "s" && value >= 1) return formatExactly(Math.round(value * 1_000));
  if (unit === "%") return `${formatNumber(value)} %`;
  return !unit || unit === "1" ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

/** The part that is done in percent, rounded down so that 100 % is the whole; null if the whole is unknown. */
export function percentOf(done: number, total: number | null | undefined): number | null {
  if (total == null || !(total > 0)) return null;
  return Math.max(0, Math.min(100, Math.floor((done / total) * 100)));
}
