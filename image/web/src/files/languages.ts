// The languages that the editor colours, each fetched when a file in it is first opened.

import { LanguageSupport, StreamLanguage, type StreamParser } from "@codemirror/language";

const stream = (parser: StreamParser<unknown>) => new LanguageSupport(StreamLanguage.define(parser));

const LANGUAGES: Readonly<Record<string, () => Promise<LanguageSupport>>> = {
  bash: async () => stream((await import("@codemirror/legacy-modes/mode/shell")).shell),
  c: async () => stream((await import("@codemirror/legacy-modes/mode/clike")).cpp),
  css: async () => (await import("@codemirror/lang-css")).css(),
  diff: async () => stream((await import("@codemirror/legacy-modes/mode/diff")).diff),
  go: async () => stream((await import("@codemirror/legacy-modes/mode/go")).go),
  ini: async () => stream((await import("@codemirror/legacy-modes/mode/toml")).toml),
  java: async () => stream((await import("@codemirror/legacy-modes/mode/clike")).java),
  javascript: async () => (await import("@codemirror/lang-javascript")).javascript({ jsx: true }),
  json: async () => (await import("@codemirror/lang-json")).json(),
  markdown: async () => (await import("@codemirror/lang-markdown")).markdown(),
  python: async () => (await import("@codemirror/lang-python")).python(),
  rust: async () => stream((await import("@codemirror/legacy-modes/mode/rust")).rust),
  sql: async () => stream((await import("@codemirror/legacy-modes/mode/sql")).standardSQL),
  typescript: async () => (await import("@codemirror/lang-javascript")).javascript({ jsx: true, typescript: true }),
  xml: async () => (await import("@codemirror/lang-html")).html(),
  yaml: async () => stream((await import("@codemirror/legacy-modes/mode/yaml")).yaml),
};

/** Null where nothing is known of it. */
export const languageSupport = async (name: string): Promise<LanguageSupport | null> =>
  (await LANGUAGES[name]?.()) ?? null;
