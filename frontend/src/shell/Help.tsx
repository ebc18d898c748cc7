import { Modal } from "@mantine/core";
import { useAllHotkeys } from "../ui/hotkeys";
import classes from "./Help.module.css";

const NAMES: Record<string, string> = {
  "mod+k": "⌘K or Ctrl K",
  Escape: "Esc",
  Enter: "↵",
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
};

/** Every key that does something here. */
export function Help({ onClose }: { onClose: () => void }) {
  const byWhat = new Map<string, string[]>();
  for (const { keys, what } of useAllHotkeys()) {
    byWhat.set(what, [...(byWhat.get(what) ?? []), NAMES[keys] ?? keys.replace(" ", " then ")]);
  }
  return (
    <Modal opened onClose={onClose} title="Keys on this page" centered size="sm">
      <dl className={classes.keys}>
        {[...byWhat].map(([what, keys]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
