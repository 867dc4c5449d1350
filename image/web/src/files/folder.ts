// The folder on the screen, kept as it is on the disk.

import { batch, signal } from "@preact/signals";
import { ask, Refusal } from "../http";
import { live } from "../live";
import { device } from "../storage";
import { address, type Entry, type Listing, parentOf } from "./entry";

/** The folder whose list is shown; null while it is looked for. */
export const folder = signal<string | null>(null);
export const entries = signal<readonly Entry[]>([]);
export const isCut = signal(false);
/** What is open beside the list; null where nothing is. */
export const opened = signal<Entry | null>(null);
/** Why there is nothing to see; "" where all is well. */
export const fault = signal("");

/** Each look at the disk has a number: an answer that a later one overtook counts no more. */
let looks = 0;
/** By the server's clock: when the list that is shown was true, and when the server last told of a change. */
let listedAt = 0;
let changedAt = 0;

/** Shows a path: a folder's list, or a file beside the list of its folder. */
export async function show(path: string): Promise<void> {
  const mine = ++looks;
  try {
    const entry = path ? await ask<Entry>("GET", address("entry", path)) : null;
    const isFile = entry !== null && entry.kind !== "folder";
    const next = isFile ? parentOf(path) : path;
    watch(next);
    const listing = next === folder.value && isFile ? null : await list(next);
    if (mine !== looks) return;
    batch(() => {
      fault.value = "";
      opened.value = isFile ? entry : null;
      if (listing) take(next, listing);
    });
  } catch (error) {
    if (mine !== looks) return;
    batch(() => {
      opened.value = null;
      entries.value = [];
      folder.value = path;
      fault.value = sentence(error);
    });
  }
}

/** Looks at the folder again. */
export async function refresh(): Promise<void> {
  const path = folder.value;
  if (path === null) return;
  const mine = looks;
  try {
    const listing = await list(path);
    if (mine === looks && path === folder.value)
      batch(() => {
        fault.value = "";
        take(path, listing);
      });
  } catch (error) {
    if (mine === looks && error instanceof Refusal && error.status === 404) fault.value = sentence(error);
  }
}

function take(path: string, listing: Listing): void {
  if (path === folder.value && listing.at < listedAt) return;
  listedAt = listing.at;
  folder.value = path;
  entries.value = listing.entries;
  isCut.value = listing.more;
  const open = opened.value;
  const now = open && listing.entries.find((one) => one.path === open.path);
  if (now && now.version !== open.version) opened.value = now;
  catchUp();
}

/** A list that is on its way comes here too, so that no change falls between it and the watch. */
function catchUp(): void {
  if (folder.value === watched && listedAt < changedAt) void refresh();
}

const list = (path: string) =>
  ask<Listing>("GET", `/api/files?${new URLSearchParams({ path, ...(showsHidden.peek() ? { hidden: "1" } : {}) })}`);

/** Whether files whose names begin with a dot are listed too. */
export const showsHidden = signal(device.get("hidden-files", false));

export function showHidden(isShown: boolean): void {
  showsHidden.value = isShown;
  device.set("hidden-files", isShown);
  void refresh();
}

function sentence(error: unknown): string {
  if (!(error instanceof Refusal)) throw error;
  return error.status === 404 ? "There is nothing here any more." : error.message;
}

let watched: string | null = null;

function watch(path: string): void {
  watched = path;
  live.send({ type: "watch", paths: [path] });
}

/** For as long as the files are on the screen. */
export function follow(): () => void {
  const again = live.onOpen(() => {
    if (watched === null) return;
    listedAt = changedAt = 0; // perhaps another server, with another clock
    watch(watched);
    void refresh();
  });
  return () => {
    again();
    looks++;
    batch(() => {
      folder.value = watched = null;
      opened.value = null;
      entries.value = [];
    });
    live.send({ type: "watch", paths: [] });
  };
}

live.on("files_changed", ({ paths, at }) => {
  if (watched === null || !paths.includes(watched)) return;
  changedAt = at;
  catchUp();
});
