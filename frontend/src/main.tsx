import "./ui/kit.css";
import "./ui/theme.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { openApi } from "./live/api";
import { createPageRouter } from "./router";
import { swallowDismissals } from "./ui/dismiss";
import { offerNonce } from "./ui/nonce";

offerNonce();
swallowDismissals();
const root = document.getElementById("root");
if (!root) throw new Error("the page has no place to be drawn in");
const api = openApi(document.baseURI);
const router = createPageRouter(document.baseURI);
// Until the code of the page is there, index.html shows its outline.
await router.load();
for (const link of document.querySelectorAll<HTMLLinkElement>("link[media=print]")) {
  if (!link.sheet)
    await new Promise((done) => ["load", "error"].forEach((end) => link.addEventListener(end, done)));
  link.media = "all";
}
createRoot(root).render(
  <StrictMode>
    <App api={api} router={router} />
  </StrictMode>,
);
