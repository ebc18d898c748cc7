import { Modal } from "@mantine/core";
import { describeKeys, useAllHotkeys } from "../ui/hotkeys";
import classes from "./Help.module.css";

/** All keyboard shortcuts of this page. */
export function Help({ onClose }: { onClose: () => void }) {
  const byDescription = new Map<string, string[]>();
  for (const { keys, what } of useAllHotkeys()) {
    byDescription.set(what, [...(byDescription.get(what) ?? []), describeKeys(keys)]);
  }
  return (
    <Modal opened onClose={onClose} title="Keys on this page" centered size="sm">
      <dl className={classes.keys}>
        {[...byDescription].map(([what, keys]) => (
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
