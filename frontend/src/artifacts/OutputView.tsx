import { useMemo, useState } from "react";
import { CopyButton } from "../ui/CopyButton";
import { JsonView } from "../ui/JsonView";
import { LinkedText } from "../ui/LinkedText";
import { later } from "../ui/later";
import classes from "./OutputView.module.css";
import { recordsOf, type Scalar, scalarsOf } from "./outputs";

const TableView = later(async () => (await import("./TableView")).TableView);

interface Props {
  value: unknown;
  /** The title and the file name. */
  name: string;
}

/** An output as what it is: values by name, a table of records, or any JSON. */
export default function OutputView({ value, name }: Props) {
  const [isJson, setJson] = useState(false);
  const scalars = useMemo(() => scalarsOf(value), [value]);
  const table = useMemo(() => recordsOf(value), [value]);
  if (!scalars && !table) return <JsonView value={value} name={name} />;
  return (
    <div className={classes.output}>
      <div className={classes.bar}>
        <button type="button" className="link-button small" onClick={() => setJson(!isJson)}>
          {isJson ? (table ? "Show as a table" : "Show as values") : "Show as JSON"}
        </button>
        {isJson ? null : <CopyButton value={JSON.stringify(value, null, 2)} what={name} />}
      </div>
      {isJson ? (
        <JsonView value={value} name={name} />
      ) : scalars ? (
        <Values values={scalars} name={name} />
      ) : table ? (
        <TableView table={table} name={name} />
      ) : null}
    </div>
  );
}

function Values({ values, name }: { values: readonly (readonly [string, Scalar])[]; name: string }) {
  return (
    <div role="region" aria-label={name} tabIndex={0} className={classes.region}>
      <dl className={classes.values}>
        {values.map(([key, value]) => (
          <div key={key}>
            {key ? <dt>{key}</dt> : null}
            <dd data-type={value === null ? "null" : typeof value}>
              {typeof value === "string" ? <LinkedText text={value} /> : formatScalar(value)}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Exact: an output may be an identifier. */
const formatScalar = (value: Exclude<Scalar, string>): string => (value === null ? "null" : String(value));
