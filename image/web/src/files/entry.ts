// What the workspace's files are told as (docs/protocol.md), and what can be read from a name.

export interface Entry {
  path: string;
  name: string;
  kind: "file" | "folder" | "link" | "other";
  link: boolean;
  size: number | null;
  modified_at: string;
  version: string;
}

export interface Listing {
  folder: Entry;
  entries: Entry[];
  more: boolean;
  /** The server's clock as it looked, in seconds. */
  at: number;
}

export interface Text {
  path: string;
  text: string | null;
  etag: string | null;
  size: number;
  state: "text" | "binary" | "too_large";
  encoding: string;
  eol: "lf" | "crlf" | "mixed";
  modified_at: string;
  writable: boolean;
}

export type Cell = string | number | boolean | null;

export interface Table {
  sheets: string[];
  sheet: string;
  rows: Cell[][];
  offset: number;
  columns: number;
  total: number | null;
  more: boolean;
}

export interface Match {
  path: string;
  name: string;
  kind: "file" | "folder";
  lines: { number: number; text: string; at: [number, number][] }[];
}

export interface Trashed {
  id: string;
  path: string;
  name: string;
  kind: "file" | "folder";
  size: number | null;
  deleted_at: string;
}

export type Look = "picture" | "pdf" | "audio" | "video" | "page" | "table" | "markdown" | "text";

const LOOKS: readonly [Look, RegExp][] = [
  ["picture", /\.(png|jpe?g|gif|webp|avif|bmp|svg|ico)$/i],
  ["pdf", /\.pdf$/i],
  ["audio", /\.(mp3|m4a|wav|ogg|oga|opus|flac)$/i],
  ["video", /\.(mp4|m4v|webm|ogv|mov)$/i],
  ["page", /\.html?$/i],
  ["table", /\.(csv|tsv|xlsx|xlsm|xlsb|xls|ods)$/i],
  ["markdown", /\.(md|markdown)$/i],
];

/** How a file is shown, judged by its name; the server has the last word. */
export function lookOf(name: string): Look {
  return LOOKS.find(([, pattern]) => pattern.test(name))?.[0] ?? "text";
}

/** Whether there are two ways to see it: as what it is, and as the text that it is written in. */
export const hasSource = (name: string) =>
  ["page", "markdown"].includes(lookOf(name)) || /\.(csv|tsv|svg)$/i.test(name);

const LANGUAGES: Readonly<Record<string, string>> = {
  bash: "bash", c: "c", cc: "c", cfg: "ini", conf: "ini", cpp: "c", css: "css", diff: "diff", go: "go", h: "c",
  htm: "xml", html: "xml", ini: "ini", java: "java", js: "javascript", json: "json", jsx: "javascript", md: "markdown",
  mjs: "javascript", patch: "diff", py: "python", rs: "rust", sh: "bash", sql: "sql", svg: "xml", toml: "ini",
  ts: "typescript", tsx: "typescript", xml: "xml", yaml: "yaml", yml: "yaml",
}; // prettier-ignore

export const languageOf = (name: string) => LANGUAGES[name.split(".").at(-1)?.toLowerCase() ?? ""] ?? "";

export const parentOf = (path: string) => path.split("/").slice(0, -1).join("/");
export const nameOf = (path: string) => path.split("/").at(-1) ?? "";
export const joined = (folder: string, name: string) => (folder ? `${folder}/${name}` : name);

/** The folders that lead to a path, itself last: `[["a", "a"], ["b.txt", "a/b.txt"]]`. */
export function trail(path: string): [name: string, path: string][] {
  const names = path ? path.split("/") : [];
  return names.map((name, index) => [name, names.slice(0, index + 1).join("/")]);
}

/** `.md` of `notes.md`; a name that only begins with a dot has none. */
export function endingOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot) : "";
}

/** Where a copy of hers goes: `notes.md` → `notes (mine).md` */
export function beside(path: string): string {
  const name = nameOf(path);
  const ending = endingOf(name);
  return joined(parentOf(path), `${name.slice(0, name.length - ending.length)} (mine)${ending}`);
}

/** Why a new name can not be; "" where it can. */
export function faultOf(name: string): string {
  if (!name) return "A name is needed.";
  if (name === "." || name === "..") return "That name has a meaning of its own.";
  if (name.includes("/")) return "A name has no “/” in it.";
  if (new TextEncoder().encode(name).length > 255) return "That name is too long.";
  return "";
}

export function address(route: string, path: string, more: Readonly<Record<string, string>> = {}): string {
  return `/api/files/${route}?${new URLSearchParams({ path, ...more })}`;
}
