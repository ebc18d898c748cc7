import { formatMeasured } from "../ui/numbers";
import classes from "./LastMetric.module.css";

interface Props {
  metrics: readonly { name: string; unit?: string | null | undefined; last: number }[];
}

/** The last value of the first metric, for a row; the tooltip has all. */
export function LastMetric({ metrics }: Props) {
  const [first] = metrics;
  if (!first) return null;
  const all = metrics.map(({ name, unit, last }) => `${name}: ${formatMeasured(last, unit)}`);
  return (
    <span className={classes.metric} title={all.join("\n")} data-last-metric={first.name}>
      <span className={classes.name}>{first.name}</span>{" "}
      <span className="number">{formatMeasured(first.last, first.unit)}</span>
    </span>
  );
}
