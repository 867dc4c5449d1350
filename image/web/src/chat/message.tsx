import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { fork } from "../conversations";
import { CopyButton } from "../parts/copy";
import { Icon, type IconName } from "../parts/icon";
import { current } from "../place";
import type { AssistantItem, UserItem } from "../protocol";
import type { Unsent } from "../outbox";
import { retry, say, withdraw } from "./chat";
import { Attachments } from "./enclosures";
import { isComposing } from "./keys";
import { Markdown } from "./markdown";

export function UserMessage({ item }: { item: UserItem }) {
  const [isEdited, setEdited] = useState(false);
  if (isEdited) return <Editing item={item} close={() => setEdited(false)} />;
  return (
    <article class={`item user ${item.queued ? "queued" : ""}`} data-role="user" aria-label="You">
      <Attachments list={item.attachments} />
      {item.text && <Words text={item.text} />}
      {item.queued ? (
        <div class="message-note">
          <small>Queued: Claude gets it next</small>
          <Tool label="Take it back and change it" icon="pencil" run={() => withdraw(item)} />
        </div>
      ) : (
        <MessageTools at={item.at} text={item.text}>
          <Tool label="Edit and send again" icon="pencil" run={() => setEdited(true)} />
          <Tool label="Ask this once more" icon="retry" run={() => retry(item.id)} />
        </MessageTools>
      )}
    </article>
  );
}

/** What she wrote, to be said in another way: Claude answers the new words instead. */
function Editing({ item, close }: { item: UserItem; close: () => void }) {
  const [words, setWords] = useState(item.text);
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(item.text.length, item.text.length);
  }, []);
  const send = () => {
    if (!words.trim() && !item.attachments?.length) return;
    say(words.trim(), item.attachments, item.id);
    close();
  };
  return (
    <article class="item user editing" data-role="user" aria-label="You">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Attachments list={item.attachments} />
        <textarea
          ref={area}
          dir="auto"
          aria-label="Your message"
          aria-describedby={`${item.id}-note`}
          rows={Math.min(12, words.split("\n").length + 1)}
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (isComposing(event)) return;
            if (event.key === "Escape") close();
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
          }}
        />
        <small id={`${item.id}-note`}>What came after it is kept as a conversation of its own.</small>
        <div class="actions end">
          <button type="button" class="plain" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Send
          </button>
        </div>
      </form>
    </article>
  );
}

function Tool({ label, icon, run }: { label: string; icon: IconName; run: () => void }) {
  return (
    <button type="button" class="mini" aria-label={label} title={label} onClick={run}>
      <Icon name={icon} />
    </button>
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
export function SendingMessage({ message, isConnected }: { message: Unsent; isConnected: boolean }) {
  const { text, attachments } = message;
  return (
    <article class="item user sending" data-role="user" aria-label="You">
      <Attachments list={attachments} />
      {text && (
        <div class="bubble" dir="auto">
          {text}
        </div>
      )}
      {!isConnected && <small class="message-note">Will be sent once you are connected again</small>}
    </article>
  );
}

export function AssistantMessage({ item }: { item: AssistantItem }) {
  return (
    <article class="item assistant" data-role="assistant" aria-label="Claude" aria-busy={!item.done}>
      <Markdown text={item.text} done={item.done} />
      {item.done && (
        <MessageTools at={item.at} text={item.text}>
          <Tool
            label="Continue from here in a copy"
            icon="fork"
            run={() => current.value && void fork(current.value, item.id)}
          />
        </MessageTools>
      )}
    </article>
  );
}

function MessageTools({ at, text, children }: { at: string; text: string; children: ComponentChildren }) {
  return (
    <div class="message-tools">
      <CopyButton text={() => text} label="Copy message" />
      {children}
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
