// What can be done with files: each says what went wrong, and what can be undone offers it.

import { ask, attempt } from "../http";
import { draftOf, keepDraft } from "../chat/drafts";
import { askHer } from "../parts/dialog";
import { saveFrom } from "../parts/save";
import { toast } from "../parts/toast";
import { current, place, toChat, toFiles } from "../place";
import { dropEdit, type Edit, moveEdits } from "./edits";
import { address, type Entry, faultOf, endingOf, joined, parentOf, type Text, type Trashed } from "./entry";
import { folder, refresh, show } from "./folder";

const POST = "POST";

export async function create(kind: "file" | "folder"): Promise<void> {
  const name = await named(kind === "file" ? "New file" : "New folder", "Create", kind === "file" ? "notes.md" : "");
  if (name === null || folder.value === null) return;
  const made = await attempt(ask<Entry>(POST, "/api/files", { path: joined(folder.value, name), kind }));
  if (!made) return;
  await refresh();
  toFiles(made.path);
}

export async function rename(entry: Entry): Promise<void> {
  const name = await named("Rename", "Rename", entry.name);
  if (name !== null && name !== entry.name) await move(entry, joined(parentOf(entry.path), name));
}

/** Moves to a whole new path; where something is there already she is told, and nothing happens. */
export async function move(entry: Entry, to: string): Promise<void> {
  const moved = await attempt(ask<Entry>(POST, "/api/files/move", { path: entry.path, to, existing: "refuse" }));
  if (!moved) return;
  moveEdits(entry.path, moved.path);
  await refresh();
  if (isOpen(entry)) toFiles(moved.path);
  if (parentOf(moved.path) !== parentOf(entry.path))
    toast.value = {
      text: `“${moved.name}” is in ${parentOf(moved.path) || "Files"} now.`,
      action: { label: "Undo", run: () => void move(moved, entry.path) },
    };
}

export async function copy(entry: Entry): Promise<void> {
  const body = { path: entry.path, to: entry.path, existing: "rename" };
  if (await attempt(ask<Entry>(POST, "/api/files/copy", body))) await refresh();
}

export async function remove(entry: Entry): Promise<void> {
  const gone = await attempt(ask<Trashed>("DELETE", `/api/files?${new URLSearchParams({ path: entry.path })}`));
  if (!gone) return;
  if (isOpen(entry)) toFiles(parentOf(entry.path));
  await refresh();
  toast.value = { text: `“${gone.name}” is in the trash.`, action: { label: "Undo", run: () => void restore(gone) } };
}

export async function restore(gone: Trashed): Promise<void> {
  const back = await restored(gone);
  if (!back) return;
  await refresh();
  if (back.path !== gone.path) toast.value = { text: `It is back as “${back.name}”.` };
}

export const restored = ({ id }: Trashed) => attempt(ask<Entry>(POST, `/api/trash/${encodeURIComponent(id)}/restore`));

/** A file that is gone while she had changes in it that were not saved: it is made anew, with them. */
export async function putBack(path: string, { text, encoding, eol }: Edit): Promise<void> {
  const body = { path, text, etag: null, encoding, eol: eol === "crlf" ? "crlf" : "lf" };
  if (!(await attempt(ask<Text>("PUT", "/api/files/text", body)))) return;
  dropEdit(path, text);
  await show(path);
}

/** Puts `@path` into what she is writing. */
export function mention(entry: Entry): void {
  const before = draftOf(current.value);
  const gap = before && !/\s$/.test(before) ? " " : "";
  keepDraft(current.value, `${before}${gap}@${entry.path} `);
  toChat(current.value);
}

export const downloadOf = (entry: Pick<Entry, "kind" | "path" | "name">) =>
  entry.kind === "folder"
    ? `/api/files/zip?${new URLSearchParams({ path: entry.path, name: entry.name })}`
    : `/api/files/download?${new URLSearchParams({ path: entry.path })}`;

/** Asked for first: the browser alone would save a missing file's refusal, or say nothing that helps. */
export async function download(entry: Entry): Promise<void> {
  if (await attempt(ask<Entry>("GET", address("entry", entry.path)))) saveFrom(downloadOf(entry));
}

function isOpen(entry: Entry): boolean {
  const here = place.value.page === "files" ? place.value.path : "";
  return here === entry.path || here.startsWith(`${entry.path}/`);
}

/** A name that can be one; null where she changed her mind. */
async function named(title: string, action: string, before: string): Promise<string | null> {
  const words = await askHer({ title, text: "", action, field: "Name", value: before, ending: endingOf(before) });
  const name = words?.replace(/\s+/g, " ").trim() ?? null;
  if (name === null) return null;
  const wrong = faultOf(name);
  if (wrong) toast.value = { text: wrong };
  return wrong ? null : name;
}
