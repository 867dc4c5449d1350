// The shells of this workspace, and the one on the screen.

import { signal } from "@preact/signals";
import { ask, attempt } from "../http";
import type { TerminalInfo } from "../protocol";
import { tab } from "../storage";

export const shells = signal<readonly TerminalInfo[]>([]);
export const shown = signal<string | null>(null);
/** What programs call themselves now; the list knows only what they were called when it was asked for. */
export const titles = signal<Readonly<Record<string, string>>>({});

export function show(id: string): void {
  tab.set("terminal", id);
  shown.value = id;
}

/** The shell that she used last, another one that runs, or a new one. */
export async function findShell(): Promise<void> {
  const known = await attempt(ask<{ terminals: TerminalInfo[] }>("GET", "/api/terminals"));
  if (!known) return;
  shells.value = known.terminals.filter((one) => one.running);
  const wanted = tab.get("terminal", "");
  const found = shells.value.find((one) => one.id === wanted) ?? shells.value.at(-1);
  if (found) show(found.id);
  else await newShell();
}

export async function newShell(): Promise<void> {
  const made = await attempt(ask<TerminalInfo>("POST", "/api/terminals", { cols: 80, rows: 24 }));
  if (!made) return;
  shells.value = [...shells.value, made];
  show(made.id);
}

/** Hangs it up and shows its neighbour; `replace` starts a new one where none is left. */
export async function endShell(id: string): Promise<void> {
  await ask("DELETE", `/api/terminals/${id}`).catch(() => undefined);
  const at = shells.value.findIndex((one) => one.id === id);
  shells.value = shells.value.filter((one) => one.id !== id);
  if (shown.value !== id) return;
  const next = shells.value[Math.min(at, shells.value.length - 1)];
  shown.value = null;
  if (next) show(next.id);
}

export function titleOf({ id, title }: TerminalInfo): string {
  return titles.value[id] || title || "Shell";
}

const LONGEST_TITLE = 60;

/** What a program calls itself: text that can neither break the line nor turn it around. */
export function shownTitle(title: string): string {
  return title.replace(/[\p{Cc}\p{Cf}]/gu, "").slice(0, LONGEST_TITLE);
}
