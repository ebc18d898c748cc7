import { type LayoutInput, layoutGraph } from "./layout";

/** Lays graphs out beside the page, so that it never waits for that. */
self.onmessage = ({ data }: MessageEvent<LayoutInput>): void => {
  self.postMessage(layoutGraph(data));
};
