import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput, MetricsOfQuery } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { formatDuration } from "../ui/durations";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { formatMeasured } from "../ui/numbers";
import { Sparkline } from "../ui/Sparkline";
import classes from "./ActionPanel.module.css";

const MetricsOf = graphql(`
  query MetricsOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      metrics {
        name
        unit
        last
        lastAt
        minimum
        maximum
        series {
          at
          value
        }
      }
    }
  }
`);

type Metric = NonNullable<MetricsOfQuery["action"]>["metrics"][number];

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
}

/** The numbers that were reported about an action. */
export function Metrics({ id, changes }: Props) {
  const [query, reload] = useQuery({ query: MetricsOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The metrics could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the metrics" />;
  const { metrics = [] } = data.action ?? {};
  if (!metrics.length) return <EmptyNotice title="No metrics">The executor has reported none.</EmptyNotice>;
  return (
    <div className={classes.scroll} role="group" aria-label="Metrics" tabIndex={0}>
      <table className={classes.metrics}>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" className={classes.value}>
              Last
            </th>
            <th scope="col">Over time</th>
            <th scope="col" className={classes.value}>
              Min
            </th>
            <th scope="col" className={classes.value}>
              Max
            </th>
          </tr>
        </thead>
        <tbody>
          {metrics.map((metric) => (
            <tr key={metric.name} data-metric={metric.name}>
              <td>{metric.name}</td>
              <td className={classes.value}>
                <strong>{formatMeasured(metric.last, metric.unit)}</strong>
              </td>
              <td>
                <Course metric={metric} />
              </td>
              <td className={classes.value}>{formatMeasured(metric.minimum, metric.unit)}</td>
              <td className={classes.value}>{formatMeasured(metric.maximum, metric.unit)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Course({ metric: { name, unit, series } }: { metric: Metric }) {
  const points = series.map(({ at, value }) => ({ at: Date.parse(at), value }));
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || first === last) return <span className="faint small">one value</span>;
  const values = `${formatMeasured(first.value, unit)} to ${formatMeasured(last.value, unit)}`;
  return <Sparkline points={points} label={`${name}: ${values} in ${formatDuration(last.at - first.at)}`} />;
}
