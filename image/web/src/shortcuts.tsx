// Keys that work everywhere on the page, and the sheet that lists them.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { drawerOpen, toChat, toFiles, toSettings } from "./place";
import { openTerminal, terminalOpen } from "./terminal/open";

const sheetOpen = signal(false);

export const showShortcuts = () => {
  sheetOpen.value = true;
};

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const CTRL = isMac ? "⌘" : "Ctrl";

interface Shortcut {
  keys: readonly string[];
  does: string;
  run?: () => void;
}

const EVERYWHERE: readonly Shortcut[] = [
  { keys: [CTRL, "K"], does: "Search conversations", run: toSearch },
  { keys: [CTRL, "Shift", "O"], does: "New chat", run: () => toChat() },
  { keys: [CTRL, "Shift", "F"], does: "Files", run: () => toFiles() },
  { keys: [CTRL, "Shift", "E"], does: "Terminal", run: openTerminal },
  { keys: [CTRL, ","], does: "Settings", run: () => toSettings() },
  { keys: ["Shift", "Esc"], does: "To the message", run: toMessage },
  { keys: [CTRL, "/"], does: "This list", run: showShortcuts },
];

const IN_THE_MESSAGE: readonly Shortcut[] = [
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

export function ShortcutSheet() {
  return sheetOpen.value ? <Sheet /> : null;
}

function Sheet() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  const closed = () => {
    sheetOpen.value = false;
  };
  return (
    <dialog class="dialog sheet" ref={box} aria-labelledby="sheet-title" onClose={closed}>
      <h2 id="sheet-title">Keyboard shortcuts</h2>
      <Keys title="Everywhere" list={EVERYWHERE} />
      <Keys title="In the message" list={IN_THE_MESSAGE} />
      <div class="actions end">
        <button type="button" class="primary" onClick={() => box.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}

function Keys({ title, list }: { title: string; list: readonly Shortcut[] }) {
  return (
    <>
      <h3>{title}</h3>
      <dl>
        {list.map(({ keys, does }) => (
          <div key={does}>
            <dt>{does}</dt>
            <dd dir="ltr">
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
