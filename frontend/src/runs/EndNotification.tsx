import { Button } from "@mantine/core";
import { useEffect, useState } from "react";
import { announce } from "../ui/announce";
import { hasEnded, phaseStyle } from "../ui/phases";

interface Props {
  run: { id: string; name: string; phase: string };
}

/** Asks for a notification of the browser when the run ends. Nothing if the browser or plain HTTP has none. */
export function EndNotification({ run }: Props) {
  const [wanted, setWanted] = useState(false);
  const isOver = hasEnded(run.phase);
  const { id, name, phase } = run;
  useEffect(() => {
    if (wanted && isOver) notify(id, `${name}: ${phaseStyle(phase).label.toLowerCase()}`);
  }, [wanted, isOver, id, name, phase]);
  if (isOver || !("Notification" in window) || !window.isSecureContext) return null;
  const toggle = async (): Promise<void> => {
    if (wanted) setWanted(false);
    else if ((await Notification.requestPermission()) === "granted") setWanted(true);
    else announce("The browser does not let this page notify you: allow it in the settings of the site.");
  };
  return (
    <Button
      size="compact-sm"
      variant={wanted ? "light" : "default"}
      aria-pressed={wanted}
      title="The browser notifies you when the run ends, while this page is open"
      onClick={() => void toggle()}
    >
      {wanted ? "Notifying at the end" : "Notify at the end"}
    </Button>
  );
}

function notify(id: string, title: string): void {
  try {
    const shown = new Notification(title, { tag: id });
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  } catch {
    // Phones only allow those of a service worker.
    announce(title);
  }
}
