// Markdown to safe HTML: sanitised after rendering, no remote images, links to the web only.

import DOMPurify from "dompurify";
import { Marked } from "marked";

const marked = new Marked({ gfm: true, breaks: true, async: false });

const ALLOWED = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: [
    "style",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "iframe",
    "object",
    "video",
    "audio",
    "img",
    "picture",
    "source",
    "svg",
    "math",
  ],
  FORBID_ATTR: ["style", "id", "name", "class", "srcset", "src"],
  ALLOW_DATA_ATTR: false,
};

/** True for an address that a link may lead to. */
export function isWebLink(address: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

const purify = DOMPurify(window);
purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  const address = node.getAttribute("href") ?? "";
  if (!isWebLink(address)) node.removeAttribute("href");
  else {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

export function toHtml(markdown: string): string {
  return purify.sanitize(marked.parse(markdown) as string, ALLOWED);
}

/** Top-level blocks, so that a streaming answer renders only its last one again. */
export function blocks(markdown: string): string[] {
  return marked.lexer(markdown).map((token) => token.raw);
}
