// Keys that work everywhere on the page, and whether the list of them is shown.

import { signal } from "@preact/signals";
import { drawerOpen, toChat, toFiles, toSettings } from "./place";
import { openTerminal, terminalOpen } from "./terminal/open";

export const sheetOpen = signal(false);

export const showShortcuts = () => {
  sheetOpen.value = true;
};

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const CTRL = isMac ? "⌘" : "Ctrl";

export interface Shortcut {
  keys: readonly string[];
  does: string;
  run?: () => void;
}

export const EVERYWHERE: readonly Shortcut[] = [
  { keys: [CTRL, "K"], does: "Search conversations", run: toSearch },
  { keys: [CTRL, "Shift", "O"], does: "New chat", run: () => toChat() },
  { keys: [CTRL, "Shift", "F"], does: "Files", run: () => toFiles() },
  { keys: [CTRL, "Shift", "E"], does: "Terminal", run: openTerminal },
  { keys: [CTRL, ","], does: "Settings", run: () => toSettings() },
  { keys: ["Shift", "Esc"], does: "To the message", run: toMessage },
  { keys: [CTRL, "/"], does: "This list", run: showShortcuts },
];

export const IN_THE_MESSAGE: readonly Shortcut[] = [
  { keys: ["Shift", "Enter"], does: "New line" },
  { keys: [CTRL, "Enter"], does: "Send, whatever Enter does" },
  { keys: ["Esc"], does: "Stop Claude" },
  { keys: ["/"], does: "At the beginning: a command" },
  { keys: ["@"], does: "A file of the workspace" },
];

function toSearch(): void {
  if (matchMedia("(max-width: 860px)").matches) drawerOpen.value = true;
  else document.querySelector<HTMLButtonElement>(".topbar .only-broad")?.click();
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>(".search input")?.focus());
}

function toMessage(): void {
  document.querySelector<HTMLTextAreaElement>(".composer textarea")?.focus();
}

type Pressed = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** What these keys do; nothing for most. */
export function shortcutOf(event: Pressed): Shortcut | undefined {
  if (event.altKey) return undefined;
  const isCtrl = isMac ? event.metaKey : event.ctrlKey;
  const pressed = event.key === "Escape" ? "Esc" : event.key.toUpperCase();
  return EVERYWHERE.find(
    ({ keys }) =>
      keys.at(-1) === pressed && keys.includes(CTRL) === isCtrl && keys.includes("Shift") === event.shiftKey,
  );
}

export function watchShortcuts(): void {
  addEventListener("keydown", (event) => {
    // The terminal's keys belong to the program in it.
    if (terminalOpen.value || event.isComposing || document.querySelector("dialog[open]")) return;
    const shortcut = shortcutOf(event);
    if (!shortcut?.run) return;
    event.preventDefault();
    shortcut.run();
  });
}
