// The list of a folder: opened, chosen and changed by mouse, touch and keys.

import { useEffect, useRef } from "preact/hooks";
import { ago } from "../parts/ago";
import { bytes } from "../parts/bytes";
import { Icon, type IconName } from "../parts/icon";
import { linkTo, toFiles } from "../place";
import { move, remove, rename } from "./actions";
import { edited } from "./edits";
import { type Entry, joined, lookOf } from "./entry";
import { entries, isCut, opened } from "./folder";
import { EntryMenu } from "./menu";
import { isSelected, isSelecting, leaveSelection, removeSelected, toggle } from "./selection";

const TYPING_MS = 700;
/** What is being dragged, inside the page. */
const DRAGGED = "application/x-my-jarvis-path";

export function List() {
  const list = useRef<HTMLUListElement>(null);
  const typed = useRef({ words: "", at: 0 });
  const rows = () => [...(list.current?.querySelectorAll<HTMLElement>(".entry-name") ?? [])];
  const to = (index: number) => {
    const all = rows();
    all[Math.max(0, Math.min(all.length - 1, index))]?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    const all = rows();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const entry = entries.value[at];
    if (!entry || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Readonly<Record<string, () => void>> = {
      ArrowDown: () => to(at + 1),
      ArrowUp: () => to(at - 1),
      Home: () => to(0),
      End: () => to(all.length - 1),
      F2: () => void rename(entry),
      Delete: () => void (isSelecting.value ? removeSelected() : remove(entry)),
      ...(isSelecting.value ? { " ": () => toggle(entry.path, event.shiftKey), Escape: leaveSelection } : {}),
    };
    const act = moves[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (event.key.length === 1 && event.key !== " ") spelled(event.key);
  };
  const spelled = (letter: string) => {
    const now = Date.now();
    const words = (now - typed.current.at < TYPING_MS ? typed.current.words : "") + letter.toLowerCase();
    typed.current = { words, at: now };
    const index = entries.value.findIndex((one) => one.name.toLowerCase().startsWith(words));
    if (index >= 0) to(index);
  };
  useEffect(() => {
    if (opened.value) list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }, [opened.value?.path]);
  return (
    <>
      <ul class="entries" ref={list} aria-label="Files and folders" onKeyDown={pressed}>
        {entries.value.map((entry) => (
          <Row key={entry.path} entry={entry} />
        ))}
      </ul>
      {isCut.value && <p class="settings-text cut">There are more than 20,000: search for the others.</p>}
    </>
  );
}

function Row({ entry }: { entry: Entry }) {
  const { href } = linkTo({ page: "files", path: entry.path });
  const isOpen = opened.value?.path === entry.path;
  const takes = entry.kind === "folder" ? dropTarget(entry.path) : {};
  const isPicked = isSelected(entry.path);
  return (
    <li class={`entry ${isOpen || isPicked ? "here" : ""}`} {...takes}>
      {isSelecting.value && (
        <input
          type="checkbox"
          aria-label={`Select ${entry.name}`}
          checked={isPicked}
          onClick={(event) => toggle(entry.path, event.shiftKey)}
        />
      )}
      <a
        class="entry-name"
        href={href}
        aria-current={isOpen ? "true" : undefined}
        draggable={!isSelecting.value}
        onDragStart={(event) => event.dataTransfer?.setData(DRAGGED, JSON.stringify(entry))}
        onClick={(event) => {
          if (isSelecting.value) {
            event.preventDefault();
            return toggle(entry.path, event.shiftKey);
          }
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
          event.preventDefault();
          toFiles(entry.path);
        }}
      >
        <Icon name={iconOf(entry)} />
        <span class="entry-words">
          <span class="entry-label" dir="auto">
            {entry.name}
          </span>
          {entry.kind === "folder" && <span class="unseen">, folder</span>}
          {entry.link && <small> link</small>}
          {edited.value.has(entry.path) && <small class="unsaved">not saved</small>}
        </span>
      </a>
      <small class="entry-size">{entry.size === null ? "" : bytes(entry.size)}</small>
      <small class="entry-age">{ago(entry.modified_at, new Date())}</small>
      {!isSelecting.value && <EntryMenu entry={entry} />}
    </li>
  );
}

/** Makes a folder, or the way to one, take what is dragged onto it. */
export function dropTarget(path: string) {
  return {
    onDragOver: (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes(DRAGGED)) return;
      event.preventDefault();
      mark(event, true);
    },
    onDragLeave: (event: DragEvent) => mark(event, false),
    onDrop: (event: DragEvent) => {
      mark(event, false);
      const data = event.dataTransfer?.getData(DRAGGED);
      if (!data) return;
      event.preventDefault();
      event.stopPropagation();
      const entry = JSON.parse(data) as Entry;
      const to = joined(path, entry.name);
      if (entry.path !== to && entry.path !== path) void move(entry, to);
    },
  };
}

function mark(event: DragEvent, isOver: boolean): void {
  if (event.currentTarget instanceof HTMLElement) event.currentTarget.classList.toggle("over", isOver);
}

export function iconOf({ kind, name }: Pick<Entry, "kind" | "name">): IconName {
  if (kind === "folder") return "folder";
  if (kind === "link") return "external";
  if (kind === "other") return "question";
  const look = lookOf(name);
  return look === "picture" ? "camera" : look === "table" ? "list" : look === "page" ? "globe" : "file";
}
