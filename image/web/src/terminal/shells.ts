// The shells of this workspace, and the one on the screen.

import { signal } from "@preact/signals";
import { ask, attempt } from "../http";
import { live } from "../live";
import type { TerminalInfo } from "../protocol";
import { tab } from "../storage";
import { Told, upToDate } from "../told";

export const shells = signal<readonly TerminalInfo[]>([]);
export const shown = signal<string | null>(null);

const told = new Told<TerminalInfo>();

async function list(): Promise<TerminalInfo[]> {
  const [known, since] = await told.while(ask<{ terminals: TerminalInfo[] }>("GET", "/api/terminals"));
  return upToDate(known.terminals, since);
}

// Another device opens, renames and closes shells too, and programs change their titles.
live.on("terminal", ({ terminal }) => {
  told.note(terminal.id, terminal);
  note(terminal);
});
live.on("terminal_gone", ({ id }) => {
  told.note(id, null);
  forget(id);
});
live.onOpen(() => shells.value.length > 0 && void catchUp());

function note(terminal: TerminalInfo): void {
  const at = shells.value.findIndex((one) => one.id === terminal.id);
  if (at >= 0) shells.value = shells.value.map((one) => (one.id === terminal.id ? terminal : one));
  else if (terminal.running) shells.value = [...shells.value, terminal];
}

/** What became of them while this device was not connected. Of the one on the screen its own socket tells. */
async function catchUp(): Promise<void> {
  const now = await list().catch(() => undefined);
  if (!now) return;
  const isThere = (id: string) => id === shown.value || now.some((one) => one.id === id);
  for (const { id } of shells.value) if (!isThere(id)) forget(id);
  now.forEach(note);
}

export function show(id: string): void {
  tab.set("terminal", id);
  shown.value = id;
}

/** The shell that she used last, another one that runs, or a new one. */
export async function findShell(): Promise<void> {
  const known = await attempt(list());
  if (!known) return;
  shells.value = known.filter((one) => one.running);
  const wanted = tab.get("terminal", "");
  const found = shells.value.find((one) => one.id === wanted) ?? shells.value.at(-1);
  if (found) show(found.id);
  else await newShell();
}

export async function newShell(): Promise<void> {
  const made = await attempt(ask<TerminalInfo>("POST", "/api/terminals", { cols: 80, rows: 24 }));
  if (!made) return;
  if (!shells.value.some((one) => one.id === made.id)) shells.value = [...shells.value, made];
  show(made.id);
}

/** Hangs it up and shows its neighbour; `replace` starts a new one where none is left. */
export async function endShell(id: string): Promise<void> {
  await ask("DELETE", `/api/terminals/${id}`).catch(() => undefined);
  forget(id);
}

/** An empty name leaves it to the programs that run in it. */
export async function renameShell(id: string, title: string): Promise<void> {
  const named = await attempt(ask<TerminalInfo>("PATCH", `/api/terminals/${id}`, { title }));
  if (named) shells.value = shells.value.map((one) => (one.id === id ? named : one));
}

function forget(id: string): void {
  const at = shells.value.findIndex((one) => one.id === id);
  shells.value = shells.value.filter((one) => one.id !== id);
  if (shown.value !== id) return;
  const next = shells.value[Math.min(at, shells.value.length - 1)];
  shown.value = null;
  if (next) show(next.id);
}

export const titleOf = ({ title }: TerminalInfo): string => shownTitle(title) || "Shell";

const LONGEST_TITLE = 60;

/** What a program calls itself: text that can neither break the line nor turn it around. */
export function shownTitle(title: string): string {
  return title.replace(/[\p{Cc}\p{Cf}]/gu, "").slice(0, LONGEST_TITLE);
}
