// What can be done with the terminal's text: by the right button, or by a long press.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { copy } from "../parts/clipboard";
import { Icon, type IconName } from "../parts/icon";
import { moved } from "../parts/menu";
import { placeAt } from "../parts/popover";
import { toast } from "../parts/toast";
import { findOpen } from "./find";
import { pasteInto } from "./paste";
import type { Held } from "./screen";

/** Where it was asked for, in the window. */
const at = signal<[x: number, y: number] | null>(null);
/** The terminal's text, while she picks from it. */
const text = signal<string | null>(null);

export function openMenu(x: number, y: number): void {
  at.value ??= [x, y];
}

export const Context = ({ held }: { held: Held }) => (
  <>
    {at.value && <Menu held={held} place={at.value} />}
    {text.value !== null && <Text held={held} text={text.value} />}
  </>
);

function Menu({ held, place: [x, y] }: { held: Held; place: [number, number] }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const panel = list.current;
    if (!panel) return;
    // By hand: a browser that closes menus by itself would take the finger's or the button's way up for a click beside it.
    panel.showPopover();
    placeAt(new DOMRect(x, y), panel);
    panel.querySelector<HTMLButtonElement>("button:enabled")?.focus();
    const beside = (event: Event) => !panel.contains(event.target as Node) && close();
    addEventListener("pointerdown", beside, true);
    addEventListener("blur", close);
    return () => {
      removeEventListener("pointerdown", beside, true);
      removeEventListener("blur", close);
    };
  }, []);
  const keys = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key !== "Escape" && event.key !== "Tab") return moved(event);
    event.preventDefault();
    close();
    held.peek()?.focus();
  };
  const choice = (label: string, icon: IconName, run: () => void, isPossible = true) => (
    <button
      type="button"
      role="menuitem"
      disabled={!isPossible}
      onClick={() => {
        close();
        run();
      }}
    >
      <Icon name={icon} /> {label}
    </button>
  );
  return (
    <div class="menu" role="menu" aria-label="Terminal" popover="manual" ref={list} onKeyDown={keys}>
      {choice("Copy", "copy", () => held.peek()?.copySelection(), held.peek()?.hasSelection)}
      {choice("Paste", "clip", () => void pasteInto(held))}
      {choice("Pick text to copy", "list", () => {
        text.value = held.peek()?.text() ?? "";
      })}
      {choice("Search", "search", () => {
        findOpen.value = true;
      })}
    </div>
  );
}

function close(): void {
  at.value = null;
}

/** All of it as plain text: fingers can select that, and a terminal's own rows they can not. */
function Text({ held, text: words }: { held: Held; text: string }) {
  const box = useRef<HTMLDialogElement>(null);
  const area = useRef<HTMLPreElement>(null);
  useEffect(() => {
    box.current?.showModal();
    area.current?.scrollTo(0, area.current.scrollHeight);
  }, []);
  const closed = () => {
    text.value = null;
    held.peek()?.focus();
  };
  const copyIt = async () => {
    const picked = getSelection()?.toString() || words;
    if (await copy(picked)) toast.value = { text: "Copied" };
    box.current?.close();
  };
  return (
    <dialog class="dialog terminal-text" ref={box} aria-labelledby="terminal-text-title" onClose={closed}>
      <h2 id="terminal-text-title">Pick text to copy</h2>
      <pre ref={area} tabIndex={0} dir="ltr">
        {words}
      </pre>
      <div class="actions end">
        <button type="button" class="plain" onClick={() => box.current?.close()}>
          Close
        </button>
        <button type="button" class="primary" onClick={() => void copyIt()}>
          Copy
        </button>
      </div>
    </dialog>
  );
}
