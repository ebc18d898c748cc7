import { useMemo } from "react";
import classes from "./Artifacts.module.css";
import { toHtml } from "./markdown";

/** Formatted text; markup within it is not interpreted. */
export default function MarkdownView({ text }: { text: string }) {
  const html = useMemo(() => ({ __html: toHtml(text) }), [text]);
  return <div className={classes.markdown} dangerouslySetInnerHTML={html} />;
}
