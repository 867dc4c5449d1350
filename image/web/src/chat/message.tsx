import { useState } from "preact/hooks";
import { CopyButton } from "../parts/copy";
import type { AssistantItem, UserItem } from "../protocol";
import { Markdown } from "./markdown";

export function UserMessage({ item }: { item: UserItem }) {
  return (
    <article class={`item user ${item.queued ? "queued" : ""}`} data-role="user" aria-label="You">
      <Words text={item.text} />
      {item.queued ? (
        <small class="message-note">Queued: Claude gets it next</small>
      ) : (
        <MessageTools at={item.at} text={item.text} />
      )}
    </article>
  );
}

const LONG_CHARACTERS = 1500;
const LONG_LINES = 16;

/** What she wrote; something long that she pasted is shown in part. */
function Words({ text }: { text: string }) {
  const isLong = text.length > LONG_CHARACTERS || text.split("\n").length > LONG_LINES;
  const [isWhole, setWhole] = useState(false);
  return (
    <>
      <div class={`bubble ${isLong && !isWhole ? "part" : ""}`} dir="auto">
        {text}
      </div>
      {isLong && (
        <button type="button" class="plain" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : "Show all"}
        </button>
      )}
    </>
  );
}

/** Written here, not confirmed by the server yet. */
export function SendingMessage({ text, isConnected }: { text: string; isConnected: boolean }) {
  return (
    <article class="item user sending" data-role="user" aria-label="You">
      <div class="bubble" dir="auto">
        {text}
      </div>
      {!isConnected && <small class="message-note">Will be sent once you are connected again</small>}
    </article>
  );
}

export function AssistantMessage({ item }: { item: AssistantItem }) {
  return (
    <article class="item assistant" data-role="assistant" aria-label="Claude" aria-busy={!item.done}>
      <Markdown text={item.text} done={item.done} />
      {item.done && <MessageTools at={item.at} text={item.text} />}
    </article>
  );
}

function MessageTools({ at, text }: { at: string; text: string }) {
  return (
    <div class="message-tools">
      <CopyButton text={() => text} label="Copy message" />
      <time dateTime={at}>{clock(at)}</time>
    </div>
  );
}

function clock(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "";
  const isToday = time.toDateString() === new Date().toDateString();
  return time.toLocaleString([], {
    ...(isToday ? {} : { day: "numeric", month: "short" }),
    ...{ hour: "2-digit", minute: "2-digit" },
  });
}
