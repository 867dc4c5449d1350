import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { current } from "../place";
import { settings } from "../workspace";
import { enclose, enclosedIn, takeAll } from "./attachments";
import { say, stop, stopping, timeline } from "./chat";
import { draftOf, keepDraft } from "./drafts";
import { AddMenu, Enclosures } from "./enclosures";
import { isComposing, sends } from "./keys";
import { ModeChoice } from "./mode";
import { ModelChoice } from "./model";
import { useSuggestions } from "./suggestions";

const HIGHEST = 0.4;
const LABEL = "Message Claude";

const box = () => document.querySelector<HTMLTextAreaElement>(".composer textarea");
export const composerIsEmpty = () => !box()?.value;

/** On a phone this would bring up the keyboard: there it does nothing. */
export function focusComposer(): void {
  if (matchMedia("(pointer: fine)").matches) box()?.focus();
}

export function Composer() {
  const conversation = current.value;
  const text = draftOf(conversation);
  const { turn } = timeline.value;
  const enclosed = enclosedIn(conversation);
  const isReady = enclosed.every((one) => one.id) && (text.trim() !== "" || enclosed.length > 0);
  const area = useRef<HTMLTextAreaElement>(null);
  const caret = useRef<number | null>(null);

  const write = (words: string, at: number) => {
    caret.current = at;
    keepDraft(conversation, words);
    area.current?.focus();
  };
  const suggestions = useSuggestions(area, text, write);

  useLayoutEffect(() => {
    grow(area.current);
    if (caret.current === null) return;
    area.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
    suggestions.moved();
  }, [text]);
  useEffect(focusComposer, [conversation]);

  const send = () => {
    if (!isReady) return;
    keepDraft(conversation, "");
    say(text.trim(), takeAll(conversation));
    area.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (isComposing(event) || suggestions.pressed(event)) return;
    if (event.key === "Escape" && !event.shiftKey && turn === "running") stop();
    if (event.key !== "Enter" || !sends(event, settings.value.enter_sends)) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      class="composer column"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {suggestions.view}
      <div class="composer-box" onClick={(event) => event.target === event.currentTarget && area.current?.focus()}>
        <Enclosures conversation={conversation} />
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label={LABEL}
          {...suggestions.aria}
          placeholder={turn === "idle" ? LABEL : "Write the next message …"}
          enterkeyhint={settings.value.enter_sends ? "send" : "enter"}
          value={text}
          onInput={(event) => {
            keepDraft(conversation, event.currentTarget.value);
            suggestions.moved();
          }}
          onSelect={suggestions.moved}
          onKeyDown={pressed}
          onPaste={(event) => pasted(event, conversation)}
        />
        <div class="composer-row">
          <AddMenu conversation={conversation} type={(sign) => write(...withSign(text, sign))} />
          <ModeChoice />
          <ModelChoice />
          <span class="grow" />
          {turn !== "idle" && <Stop />}
          <button type="submit" class="round primary" aria-label="Send" title="Send" disabled={!isReady}>
            <Icon name="send" />
          </button>
        </div>
      </div>
    </form>
  );
}

function Stop() {
  const isStopping = stopping.value;
  const label = isStopping ? "Stopping …" : "Stop";
  return (
    <button type="button" class="round" aria-label={label} title={label} disabled={isStopping} onClick={stop}>
      {isStopping ? <span class="spinner" aria-hidden="true" /> : <Icon name="stop" />}
    </button>
  );
}

const LONG_CHARACTERS = 50_000;

/** Pictures and files go along, and so does a text like a book; what has words as well (a table, a page) is pasted as words. */
function pasted(event: ClipboardEvent, conversation: string | null): void {
  const files = event.clipboardData?.files ?? [];
  const words = event.clipboardData?.getData("text/plain") ?? "";
  const isLong = words.length > LONG_CHARACTERS;
  if (!isLong && (words || !files.length)) return;
  event.preventDefault();
  enclose(conversation, isLong ? [new File([words], "pasted.txt", { type: "text/plain" })] : files);
  if (isLong) toast.value = { text: "That is long: it goes along as a file." };
}

/** A command stands first, a file anywhere. */
function withSign(text: string, sign: "@" | "/"): [text: string, caret: number] {
  if (sign === "/") return [`/${text.replace(/^\//, "")}`, 1];
  const before = text === "" || /\s$/.test(text) ? text : `${text} `;
  return [`${before}@`, before.length + 1];
}

function grow(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.setProperty("height", "auto");
  area.style.setProperty("height", `${Math.min(area.scrollHeight, innerHeight * HIGHEST)}px`);
}
