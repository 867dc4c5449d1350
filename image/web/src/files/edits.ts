// What she has changed in files and not saved: this browser keeps it, wherever she goes, until she saves or discards it.

import { computed, signal } from "@preact/signals";
import { Shelf } from "../shelf";

export interface Edit {
  text: string;
  /** Of the file that she began from. */
  etag: string | null;
  encoding: string;
  eol: string;
}

const MOST = 30;

const edits = new Shelf<Edit>("edit", MOST);
/** What is too large for the browser to keep, or what it refuses to: it would go with the page. */
const unkept = new Set<string>();

export const editOf = (path: string) => edits.get(path);
export const edited = computed(() => {
  void edits.all.value;
  return new Set(edits.keys());
});
/** The path of the editor on the screen, while it holds changes; "" where there are none. */
export const unsaved = signal("");

export function keepEdit(path: string, edit: Edit): void {
  const before = editOf(path);
  if (before?.text === edit.text && before.etag === edit.etag) return;
  if (edits.put(path, edit)) unkept.delete(path);
  else unkept.add(path);
}

/** Forgets it, unless another tab has something else there. */
export function dropEdit(path: string, text: string | undefined): void {
  if (editOf(path)?.text !== text) return;
  edits.take(path);
  unkept.delete(path);
}

/** They go with the file, or with the folder that it is in. */
export function moveEdits(from: string, to: string): void {
  for (const path of edits.keys().filter((one) => one === from || one.startsWith(`${from}/`))) {
    const edit = edits.take(path);
    if (edit) keepEdit(to + path.slice(from.length), edit);
  }
}

addEventListener("beforeunload", (event) => {
  if (unkept.size) event.preventDefault();
});
