import DOMPurify from "dompurify";
import { Marked } from "marked";

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    // Markup in the text stays text.
    html: ({ text }) => escape(text),
    // Pictures may only be within the text: others would tell their server who reads this.
    image: ({ href, text }) =>
      /^data:image\/(png|jpeg|gif|webp);base64,/.test(href)
        ? `<img src="${escape(href)}" alt="${escape(text)}">`
        : `<a href="${escape(href)}">${escape(text || href)}</a>`,
  },
});

const TAGS =
  "a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i img li ol p pre s strong sub sup table tbody td th thead tr ul";

/** Markdown as HTML that is safe to insert. */
export function toHtml(text: string): string {
  const purify = DOMPurify;
  const html = purify.sanitize(marked.parse(text, { async: false }), {
    ALLOWED_TAGS: TAGS.split(" "),
    ALLOWED_ATTR: ["href", "src", "alt", "title", "align", "start"],
    // All others have to match the expression for addresses.
    ADD_URI_SAFE_ATTR: ["align", "start"],
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/)/i,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of html.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  const holder = document.createElement("div");
  holder.append(html);
  return holder.innerHTML;
}
