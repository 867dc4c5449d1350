// A folder on the screen: what is in it, kept up to date while she looks at it, and what she does with it.

import { effect, signal } from "@preact/signals";
import { ask, attempt } from "../http";
import { live } from "../live";
import { toast } from "../parts/toast";
import { place } from "../place";
import type { Entry, Trashed } from "../protocol";
import { upload } from "../upload";

interface Listing {
  folder: Entry;
  entries: Entry[];
  more: boolean;
}

/** What stands at the place's path: a folder with its entries, or a file; null while that is not known. */
export const opened = signal<{ entry: Entry; entries: readonly Entry[] } | null>(null);
export const fault = signal("");
/** How much of each upload has arrived, by name. */
export const arriving = signal<Readonly<Record<string, number>>>({});

export const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const inside = (folder: string, name: string) => (folder ? `${folder}/${name}` : name);
export const query = (path: string) => `path=${encodeURIComponent(path)}`;

function herPath(): string | null {
  return place.value.page === "files" ? place.value.path : null;
}

let shown: string | null = null;

async function look(path: string): Promise<void> {
  const found = await find(path);
  if (shown !== path) return;
  fault.value = typeof found === "string" ? found : "";
  opened.value = typeof found === "string" ? null : found;
}

async function find(path: string): Promise<{ entry: Entry; entries: readonly Entry[] } | string> {
  try {
    const entry = path ? await ask<Entry>("GET", `/api/files/entry?${query(path)}`) : null;
    if (entry && entry.kind !== "folder") return { entry, entries: [] };
    const { folder, entries } = await ask<Listing>("GET", `/api/files?${query(path)}`);
    return { entry: folder, entries };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function watch(path: string): void {
  const folder = opened.peek()?.entry.kind === "folder" ? path : parentOf(path);
  live.send({ type: "watch", paths: [folder] });
}

export const again = () => (shown === null ? Promise.resolve() : look(shown));

effect(() => {
  const path = herPath();
  if (path === shown) return;
  shown = path;
  opened.value = null;
  fault.value = "";
  if (path !== null) void look(path).then(() => watch(path));
});
live.onOpen(() => {
  if (shown === null) return;
  watch(shown);
  void again();
});
live.on("files_changed", () => void again());

export async function makeFolder(path: string): Promise<void> {
  if (await attempt(ask<Entry>("POST", "/api/files", { path, kind: "folder" }))) await again();
}

export async function rename(path: string, name: string): Promise<void> {
  const to = inside(parentOf(path), name);
  if (await attempt(ask<Entry>("POST", "/api/files/move", { path, to, existing: "refuse" }))) await again();
}

/** Deleted files wait in the trash; the way back is offered at once. */
export async function remove(entry: Entry): Promise<void> {
  const trashed = await attempt(ask<Trashed>("DELETE", `/api/files?${query(entry.path)}`));
  if (!trashed) return;
  toast.value = {
    text: `“${entry.name}” is in the trash`,
    action: {
      label: "Undo",
      run: () => void attempt(ask<Entry>("POST", `/api/trash/${trashed.id}/restore`)).then(again),
    },
  };
  await again();
}

export async function send(folder: string, files: Iterable<File>): Promise<void> {
  for (const file of files) {
    const mark = (share?: number) => {
      const { [file.name]: _, ...others } = arriving.value;
      arriving.value = share === undefined ? others : { ...others, [file.name]: share };
    };
    mark(0);
    await attempt(upload(file, inside(folder, file.name), { progress: mark }));
    mark();
    await again();
  }
}
