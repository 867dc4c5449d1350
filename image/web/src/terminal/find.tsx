// A line to search the terminal with: the newest place first, then upwards.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../parts/icon";
import type { Held } from "./screen";

export const findOpen = signal(false);
/** Which of how many is shown; -1 where none is. */
export const findings = signal({ at: -1, count: 0 });

export function Find({ held }: { held: Held }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    findings.value = { at: -1, count: 0 };
    field.current?.focus();
    return () => void held.peek()?.stopFinding();
  }, []);
  const go = (where: "above" | "below") => void held.peek()?.find(field.current?.value ?? "", where);
  const close = () => {
    findOpen.value = false;
  };
  const typed = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape") close();
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    go(event.shiftKey ? "below" : "above");
  };
  return (
    <div class="terminal-find" role="search" aria-label="Search the terminal">
      <input
        ref={field}
        type="search"
        enterkeyhint="search"
        placeholder="Search"
        aria-label="Search the terminal for"
        autocapitalize="off"
        autocomplete="off"
        spellcheck={false}
        onInput={() => go("above")}
        onKeyDown={typed}
      />
      <span class="count" role="status">
        {words(field.current?.value ?? "")}
      </span>
      <button type="button" class="mini" aria-label="Older" title="Older (Enter)" onClick={() => go("above")}>
        <Icon name="send" />
      </button>
      <button type="button" class="mini" aria-label="Newer" title="Newer (Shift + Enter)" onClick={() => go("below")}>
        <Icon name="down" />
      </button>
      <button type="button" class="mini" aria-label="Close the search" title="Close (Esc)" onClick={close}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function words(sought: string): string {
  const { at, count } = findings.value;
  if (!sought) return "";
  if (!count) return "Nothing";
  return at < 0 ? `${count}` : `${at + 1} of ${count}`;
}
