// Colours for code: a chunk of its own, fetched when the first complete block of code is on the screen.

import core from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const LANGUAGES = {
  bash,
  c,
  css,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  markdown,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};
for (const [name, language] of Object.entries(LANGUAGES)) core.registerLanguage(name, language);
core.registerAliases(["shell", "console"], { languageName: "bash" });

export type Coloured = string | { scope: string; children: readonly Coloured[] };
interface Node {
  scope?: string;
  children: (Node | string)[];
}

/** The same text in coloured parts; null for a language that is not known. */
export function colour(text: string, language: string): readonly Coloured[] | null {
  if (!core.getLanguage(language)) return null;
  const { _emitter } = core.highlight(text, { language, ignoreIllegals: true }) as unknown as {
    _emitter: { root: Node };
  };
  return parts(_emitter.root);
}

function parts(node: Node): readonly Coloured[] {
  return node.children.flatMap((child): readonly Coloured[] => {
    if (typeof child === "string") return [child];
    return child.scope ? [{ scope: child.scope.split(".")[0] ?? "", children: parts(child) }] : parts(child);
  });
}
