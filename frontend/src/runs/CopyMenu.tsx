import { Button, Menu } from "@mantine/core";
import { shellCommand } from "../ui/command";
import { copyText } from "../ui/copy";

interface Props {
  run: { id: string; project: string; domain: string; name: string };
}

/** What can be copied of a run. */
export function CopyMenu({ run }: Props) {
  const { project, domain, name, id } = run;
  const copyCommand = (command: string) =>
    void copyText(shellCommand(`rungraph ${command}`, { project, domain, run: name }), "command");
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="compact-sm" variant="default">
          Copy…
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void copyText(window.location.href, "link")}>Link to this page</Menu.Item>
        <Menu.Item onClick={() => void copyText(`${project}/${domain}/${name}`, "name")}>
          Project/domain/name
        </Menu.Item>
        <Menu.Item onClick={() => void copyText(id, "id")}>Id for the API</Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={() => copyCommand("watch")}>Command to watch it in a terminal</Menu.Item>
        <Menu.Item onClick={() => copyCommand("get")}>Command to show it in a terminal</Menu.Item>
        <Menu.Item onClick={() => copyCommand("logs")}>Command to print its log in a terminal</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
