import { Link } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import type { ActionIdentifierInput } from "../gql/graphql";
import { runParams } from "../live/paths";
import ActionLogs from "../logs/ActionLogs";
import type { LogView } from "../logs/LogToolbar";
import { shellCommand } from "../ui/command";
import { copyText } from "../ui/copy";

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
}

/** The logs of an action within its panel. */
export default function PanelLogs({ id, changes }: Props) {
  const [view, setView] = useState<LogView>({});
  const onView = useCallback(
    (change: Partial<LogView>) => setView((before) => ({ ...before, ...change })),
    [],
  );
  const { project, domain, runName, name } = id;
  const options: Record<string, string> = { project, domain, run: runName };
  if (view.attempt) options.attempt = String(view.attempt);
  const command = shellCommand("rungraph logs", options, name);
  return (
    <ActionLogs id={id} changes={changes} view={view} onView={onView}>
      <Link
        to="/runs/$project/$domain/$name/logs"
        params={runParams({ project, domain, name: runName })}
        search={{ action: name, ...view }}
        title="The log on a page of its own"
      >
        Full page
      </Link>
      <button
        type="button"
        title="Copy the command that prints this log in a terminal"
        onClick={() => void copyText(command, "command")}
      >
        Copy command
      </button>
    </ActionLogs>
  );
}
