import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "../parts/icon";
import { current } from "../place";
import { settings } from "../workspace";
import { say, stop, timeline } from "./chat";
import { draftOf, keepDraft } from "./drafts";
import { isComposing, sends } from "./keys";
import { ModeChoice } from "./mode";

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
  const isBusy = timeline.value.turn !== "idle";
  const area = useRef<HTMLTextAreaElement>(null);

  useLayoutEffect(() => grow(area.current), [text]);
  useEffect(focusComposer, [conversation]);

  const send = () => {
    if (!text.trim()) return;
    keepDraft(conversation, "");
    say(text.trim());
    area.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || isComposing(event) || !sends(event, settings.value.enter_sends)) return;
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
      <div class="composer-box" onClick={(event) => event.target === event.currentTarget && area.current?.focus()}>
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label={LABEL}
          placeholder={isBusy ? "Write the next message …" : LABEL}
          enterkeyhint={settings.value.enter_sends ? "send" : "enter"}
          value={text}
          onInput={(event) => keepDraft(conversation, event.currentTarget.value)}
          onKeyDown={pressed}
        />
        <div class="composer-row">
          <ModeChoice />
          <span class="grow" />
          {isBusy && (
            <button type="button" class="round" aria-label="Stop" title="Stop" onClick={stop}>
              <Icon name="stop" />
            </button>
          )}
          <button type="submit" class="round primary" aria-label="Send" title="Send" disabled={!text.trim()}>
            <Icon name="send" />
          </button>
        </div>
      </div>
    </form>
  );
}

function grow(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.setProperty("height", "auto");
  area.style.setProperty("height", `${Math.min(area.scrollHeight, innerHeight * HIGHEST)}px`);
}
