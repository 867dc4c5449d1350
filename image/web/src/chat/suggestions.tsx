// What may stand at the cursor: commands after a slash, files after an @. The keyboard stays in the message.

import { type RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask } from "../http";
import { announce } from "../parts/announcer";
import { Icon } from "../parts/icon";
import { commands, loadCommands } from "./commands";
import { completed, fitting, type Mention, mentionAt } from "./completion";
import { isComposing } from "./keys";

interface Suggestion {
  value: string;
  note: string;
  isFolder: boolean;
  /** Which characters of the value were typed. */
  at: readonly number[];
}

interface Completed {
  matches: { path: string; kind: "file" | "folder"; at: number[] }[];
}

const LIST = "suggestions";
const TYPING_MS = 60;
const MOST = 50;

const optionId = (index: number) => `${LIST}-${index}`;

export function useSuggestions(
  area: RefObject<HTMLTextAreaElement | null>,
  text: string,
  change: (text: string, caret: number) => void,
) {
  const [caret, setCaret] = useState(0);
  const [dismissed, dismiss] = useState("");
  const [index, setIndex] = useState(0);
  const found = useMemo(() => mentionAt(text, caret), [text, caret]);
  const key = found ? `${found.kind} ${found.from}` : "";
  const mention = key && key !== dismissed ? found : null;
  const list = useList(mention);
  const isOpen = mention !== null && list.length > 0;
  const isWaiting = mention?.kind === "command" && commands.value.length === 0;

  useEffect(() => setIndex(0), [mention?.query, mention?.kind]);
  useEffect(() => {
    if (!key) dismiss("");
  }, [key]);
  useEffect(() => {
    if (isOpen) announce(list.length === 1 ? "1 suggestion" : `${list.length} suggestions`);
  }, [isOpen, list.length]);

  const take = (suggestion: Suggestion) => {
    if (!mention) return;
    const value = suggestion.isFolder ? `${suggestion.value}/` : suggestion.value;
    change(...completed(text, mention, value, suggestion.isFolder));
  };

  /** True where the key was meant for the list. */
  const pressed = (event: KeyboardEvent): boolean => {
    if (!isOpen || isComposing(event)) return false;
    const chosen = list[index];
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) setIndex((index + step + list.length) % list.length);
    else if (event.key === "Escape") dismiss(key);
    else if (!chosen || !takes(event, mention, chosen)) return false;
    else take(chosen);
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  return {
    pressed,
    moved: () => setCaret(area.current?.selectionStart ?? 0),
    view: isOpen ? (
      <List list={list} index={index} isCommand={mention.kind === "command"} take={take} />
    ) : isWaiting ? (
      <p class="suggestions" role="status">
        Asking Claude which commands there are …
      </p>
    ) : null,
    aria: {
      "aria-autocomplete": "list",
      "aria-controls": isOpen ? LIST : undefined,
      "aria-activedescendant": isOpen ? optionId(index) : undefined,
    } as const,
  };
}

/** Enter sends a command that is already written out. */
function takes(event: KeyboardEvent, mention: Mention, chosen: Suggestion): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
  if (event.key === "Tab") return true;
  return event.key === "Enter" && !(mention.kind === "command" && mention.query === chosen.value);
}

function useList(mention: Mention | null): readonly Suggestion[] {
  const files = useFiles(mention?.kind === "file" ? mention.query : null);
  const isCommand = mention?.kind === "command";
  useEffect(() => {
    if (isCommand) void loadCommands();
  }, [isCommand]);
  if (mention?.kind === "file") return files;
  if (!mention) return [];
  return fitting(commands.value, mention.query)
    .slice(0, MOST)
    .map(({ name, description, hint }) => ({
      value: name,
      note: [hint, description].filter(Boolean).join(" · "),
      isFolder: false,
      at: [],
    }));
}

function useFiles(query: string | null): readonly Suggestion[] {
  const [files, setFiles] = useState<readonly Suggestion[]>([]);
  useEffect(() => {
    if (query === null) {
      setFiles([]);
      return;
    }
    let isWanted = true;
    const timer = setTimeout(async () => {
      const answer = await ask<Completed>("GET", `/api/files/complete?limit=20&q=${encodeURIComponent(query)}`).catch(
        () => undefined,
      );
      if (isWanted && answer)
        setFiles(
          answer.matches.map(({ path, kind, at }) => ({ value: path, note: "", isFolder: kind === "folder", at })),
        );
    }, TYPING_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [query]);
  return files;
}

interface ListProps {
  list: readonly Suggestion[];
  index: number;
  isCommand: boolean;
  take: (suggestion: Suggestion) => void;
}

function List({ list, index, isCommand, take }: ListProps) {
  const box = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => box.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }));
  return (
    <ul
      class="suggestions"
      id={LIST}
      role="listbox"
      tabIndex={0}
      aria-label={isCommand ? "Commands" : "Files"}
      ref={box}
    >
      {list.map((one, number) => (
        <li
          key={one.value}
          id={optionId(number)}
          role="option"
          aria-selected={number === index}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => take(one)}
        >
          {!isCommand && <Icon name={one.isFolder ? "folder" : "file"} />}
          <span class="suggestion" dir="ltr">
            {isCommand ? `/${one.value}` : <Marked text={one.value} at={one.at} />}
          </span>
          {one.note && <small dir="auto">{one.note}</small>}
        </li>
      ))}
    </ul>
  );
}

function Marked({ text, at }: { text: string; at: readonly number[] }) {
  const marked = new Set(at);
  return <>{[...text].map((letter, index) => (marked.has(index) ? <b key={index}>{letter}</b> : letter))}</>;
}
