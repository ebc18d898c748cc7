import { type FragmentType, graphql, readFragment } from "../gql";
import { words } from "../ui/phases";
import { Time } from "../ui/Time";
import classes from "./ActionPanel.module.css";

const ActionDetailsFragment = graphql(`
  fragment ActionDetails on Action {
    type
    group
    taskType
    functionName
    environmentName
    task {
      name
      version
    }
    createdBy {
      subject
      name
    }
    createdAt
    startedAt
    endedAt
    dependencies
  }
`);

interface Props {
  action: FragmentType<typeof ActionDetailsFragment>;
  onSelect: (name: string) => void;
}

/** The attributes of an action, its creator and its dependencies. */
export function ActionDetails({ action: masked, onSelect }: Props) {
  const action = readFragment(ActionDetailsFragment, masked);
  const { task, createdBy } = action;
  const rows: [string, React.ReactNode][] = [
    ["Type", words(action.type)],
    ["Group", action.group],
    ["Task", task ? `${task.name} ${task.version}` : null],
    ["Function", action.functionName],
    ["Task type", action.taskType],
    ["Environment", action.environmentName],
    ["Created by", createdBy ? (createdBy.name ?? createdBy.subject) : null],
    ["Created", <Time key="created" value={action.createdAt} />],
    ["Started", action.startedAt ? <Time key="started" value={action.startedAt} /> : null],
    ["Ended", action.endedAt ? <Time key="ended" value={action.endedAt} /> : null],
    [
      "Depends on",
      action.dependencies.length ? (
        <span className={classes.names}>
          {action.dependencies.map((name) => (
            <button key={name} type="button" className="link-button" onClick={() => onSelect(name)}>
              {name}
            </button>
          ))}
        </span>
      ) : null,
    ],
  ];
  return (
    <dl className={classes.details}>
      {rows.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}
