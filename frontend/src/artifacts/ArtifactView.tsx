import { lazy, Suspense } from "react";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import classes from "./Artifacts.module.css";
import OutputView from "./OutputView";
import { readText, useContent } from "./useContent";
import type { View } from "./views";

// Loaded when such a file is opened.
const MarkdownView = lazy(() => import("./MarkdownView"));
const CsvView = lazy(() => import("./CsvView"));
const ParquetView = lazy(() => import("./ParquetView"));

interface Props {
  view: View;
  name: string;
  /** Where the file is. */
  url: string;
  size: number;
}

/** The content of a file. */
export function ArtifactView({ view, name, url, size }: Props) {
  if (view === "image") return <ImageView url={url} name={name} />;
  if (view === "html") {
    return (
      // Without the page's origin: scripts of a report reach neither the page nor the API.
      <iframe
        className={classes.report}
        src={url}
        title={name}
        sandbox="allow-scripts"
        referrerPolicy="no-referrer"
      />
    );
  }
  return (
    <Suspense fallback={<LoadingNotice what={name} />}>
      {view === "parquet" ? (
        <ParquetView url={url} size={size} name={name} />
      ) : (
        <TextualView view={view} url={url} name={name} />
      )}
    </Suspense>
  );
}

function ImageView({ url, name }: { url: string; name: string }) {
  return (
    <a href={url} target="_blank" rel="noreferrer" title="Open in a new tab" className={classes.image}>
      <img src={url} alt={name} />
    </a>
  );
}

function TextualView({ view, url, name }: Omit<Props, "size">) {
  const { value: text, problem, retry } = useContent(url, readText);
  if (problem) return <ErrorNotice title={`${name} could not be read`} problem={problem} retry={retry} />;
  if (text === undefined) return <LoadingNotice what={name} />;
  if (text === "") return <EmptyNotice title="The file is empty" />;
  if (view === "markdown") return <MarkdownView text={text} />;
  if (view === "csv") return <CsvView text={text} name={name} />;
  const document = view === "json" ? asJson(text) : undefined;
  if (document !== undefined) return <OutputView value={document} name={name} />;
  return (
    <pre className={classes.text} tabIndex={0} aria-label={name} role="region">
      {text}
    </pre>
  );
}

/** The value of a JSON document; undefined if it is none. */
function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
