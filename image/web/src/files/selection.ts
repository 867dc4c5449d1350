// Several files at once: which she has picked, and what is done with all of them.

import { computed, signal } from "@preact/signals";
import { ask, attempt } from "../http";
import { saveFrom } from "../parts/save";
import { toast } from "../parts/toast";
import { place, toFiles } from "../place";
import { restored } from "./actions";
import { moveEdits } from "./edits";
import { type Entry, joined, parentOf, type Trashed } from "./entry";
import { entries, folder, refresh } from "./folder";
import { pickFolder } from "./picker";

/** Their paths; null while she picks nothing. */
const picked = signal<ReadonlySet<string> | null>(null);
/** The row that a range begins from. */
let anchor = "";

export const isSelecting = computed(() => picked.value !== null);
export const isSelected = (path: string) => picked.value?.has(path) ?? false;
/** Those of them that are still there. */
export const selected = computed(() => entries.value.filter((one) => picked.value?.has(one.path)));
export const areAllSelected = computed(() => selected.value.length === entries.value.length);

export function select(): void {
  picked.value = new Set();
  anchor = "";
}

export function leaveSelection(): void {
  picked.value = null;
}

export function selectAll(isWanted: boolean): void {
  picked.value = new Set(isWanted ? entries.value.map((one) => one.path) : []);
}

/** With Shift: all from the row that was picked last. */
export function toggle(path: string, isRange = false): void {
  const now = new Set(picked.value);
  const all = entries.value.map((one) => one.path);
  const [from, to] = [all.indexOf(anchor), all.indexOf(path)].sort((a, b) => a - b) as [number, number];
  if (isRange && from >= 0) for (const one of all.slice(from, to + 1)) now.add(one);
  else if (!now.delete(path)) now.add(path);
  anchor = path;
  picked.value = now;
}

export const many = (count: number) => (count === 1 ? "1 thing" : `${count} things`);

export function downloadSelected(): void {
  const readable = selected.value.filter(({ kind }) => kind === "file" || kind === "folder");
  const asked = new URLSearchParams(readable.map(({ path }) => ["path", path]));
  asked.set("name", folder.value?.split("/").at(-1) || "Files");
  saveFrom(`/api/files/zip?${asked}`);
  leaveSelection();
}

export async function moveSelected(): Promise<void> {
  const chosen = selected.value;
  const to = await pickFolder(chosen);
  if (to !== null)
    await moveAll(
      chosen.map((one) => ({ entry: one, to: joined(to, one.name) })),
      to,
    );
}

async function moveAll(moves: readonly { entry: Entry; to: string }[], where: string): Promise<void> {
  toast.value = null; // what it undoes may be elsewhere by then
  const done: { entry: Entry; to: string }[] = [];
  for (const { entry, to } of moves) {
    const moved = await attempt(ask<Entry>("POST", "/api/files/move", { path: entry.path, to, existing: "refuse" }));
    if (!moved) break; // she is told why
    moveEdits(entry.path, moved.path);
    done.push({ entry: moved, to: entry.path });
  }
  await settled(moves.map(({ entry }) => entry));
  if (done.length < moves.length) return;
  toast.value = {
    text: `${many(done.length)} moved to ${where.split("/").at(-1) || "Files"}.`,
    action: { label: "Undo", run: () => void moveAll(done, folder.value ?? "") },
  };
}

export async function removeSelected(): Promise<void> {
  toast.value = null;
  const chosen = selected.value;
  const gone: Trashed[] = [];
  for (const { path } of chosen) {
    const one = await attempt(ask<Trashed>("DELETE", `/api/files?${new URLSearchParams({ path })}`));
    if (!one) break;
    gone.push(one);
  }
  await settled(chosen);
  if (!gone.length) return;
  toast.value = {
    text: `${many(gone.length)} in the trash.`,
    action: { label: "Undo", run: () => void restoreAll(gone) },
  };
}

async function restoreAll(gone: readonly Trashed[]): Promise<void> {
  for (const one of gone) if (!(await restored(one))) break;
  await refresh();
}

/** The list as it is now; of what is gone from here nothing stays open. */
async function settled(changed: readonly Entry[]): Promise<void> {
  leaveSelection();
  await refresh();
  const open = place.value.page === "files" ? place.value.path : "";
  const isGone = changed.some(({ path }) => path === open && !entries.value.some((one) => one.path === path));
  if (isGone) toFiles(parentOf(open));
}
