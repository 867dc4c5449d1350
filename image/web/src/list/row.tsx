import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { isComposing } from "../chat/keys";
import { found, query, revise, unread } from "../conversations";
import { current, inChat, linkTo } from "../place";
import type { Conversation } from "../protocol";
import { ConversationMenu } from "./actions";
import { marked } from "./marked";

const SAYS = { idle: "", running: "Claude is working", waiting: "Claude waits for you" } as const;

export function Row({ conversation }: { conversation: Conversation }) {
  const [renaming, setRenaming] = useState(false);
  const isHere = current.value === conversation.id && inChat.value;
  if (renaming) return <Renaming conversation={conversation} close={() => setRenaming(false)} />;
  return (
    <li class={isHere ? "here" : ""}>
      <a
        {...linkTo({ page: "chat", conversation: conversation.id })}
        aria-current={isHere ? "page" : undefined}
        dir="auto"
      >
        <Sign conversation={conversation} />
        <span class="row-words">
          <span class="row-title">
            <Marked text={conversation.title || "New conversation"} />
          </span>
          {found.value && conversation.snippet && (
            <small dir="auto">
              <Marked text={conversation.snippet} />
            </small>
          )}
        </span>
      </a>
      <ConversationMenu conversation={conversation} rename={() => setRenaming(true)} />
    </li>
  );
}

/** With the words that she searches for marked. */
function Marked({ text }: { text: string }) {
  if (!found.value) return <>{text}</>;
  return <>{marked(text, query.value).map((part, index) => (index % 2 ? <mark key={index}>{part}</mark> : part))}</>;
}

function Sign({ conversation: { id, turn } }: { conversation: Conversation }) {
  if (turn !== "idle") return <i class={`sign ${turn}`} role="img" aria-label={SAYS[turn]} title={SAYS[turn]} />;
  if (unread.value.has(id)) return <i class="sign unread" role="img" aria-label="New answer" title="New answer" />;
  return null;
}

function Renaming({ conversation: { id, title }, close }: { conversation: Conversation; close: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.select(), []);
  const finish = (words: string) => {
    close();
    if (words.trim() && words.trim() !== title) void revise(id, { title: words.trim() });
  };
  return (
    <li class="renaming">
      <input
        ref={field}
        aria-label="New title"
        defaultValue={title}
        maxLength={200}
        dir="auto"
        onKeyDown={(event) => {
          if (isComposing(event)) return;
          if (event.key === "Enter") finish(event.currentTarget.value);
          if (event.key !== "Escape") return;
          event.stopPropagation();
          close();
        }}
        onBlur={(event) => finish(event.currentTarget.value)}
      />
    </li>
  );
}
