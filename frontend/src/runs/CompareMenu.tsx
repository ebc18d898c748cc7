import { Button, Menu } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import type { RunName } from "../live/paths";
import { printSide } from "../live/sides";

/** What a run can be compared with. */
export function CompareMenu({ run }: { run: RunName }) {
  const navigate = useNavigate();
  const b = printSide({ project: run.project, domain: run.domain, name: run.name });
  const withRun = (what: "previous" | "success"): void =>
    void navigate({ to: "/compare", search: { b, with: what } });
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="compact-sm" variant="default">
          Compare…
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => withRun("previous")}>With the previous run</Menu.Item>
        <Menu.Item onClick={() => withRun("success")}>With the last success</Menu.Item>
        <Menu.Item onClick={() => void navigate({ to: "/compare", search: { b } })}>
          With another run
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
