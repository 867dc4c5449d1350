import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, Mark } from "./icons";
import type { Conversation } from "./protocol";
import { attempt, auth, conversations, current, drawerOpen, go, loadConversations, remove, rename } from "./store";

export function Sidebar() {
  const [query, setQuery] = useState("");
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => void attempt(loadConversations(query)), 200);
    return () => clearTimeout(timer);
  }, [query]);
  return (
    <>
      {drawerOpen.value && (
        <button type="button" class="scrim" aria-label="Close the list" onClick={() => (drawerOpen.value = false)} />
      )}
      <nav class={`sidebar ${drawerOpen.value ? "open" : ""}`} aria-label="Conversations">
        <header>
          <Mark />
          <strong>My Jarvis</strong>
        </header>
        <button type="button" class="new" onClick={() => go("/")}>
          <Icon name="plus" /> New chat
        </button>
        <input
          type="search"
          placeholder="Search"
          aria-label="Search conversations"
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        <ul>
          {conversations.value.map((conversation) => (
            <Row key={conversation.id} conversation={conversation} />
          ))}
          {conversations.value.length === 0 && (
            <li class="none">{query ? "Nothing found." : "Your conversations will be kept here."}</li>
          )}
        </ul>
        <footer>
          <button type="button" onClick={() => go("/settings/general")} aria-label="Settings">
            <Icon name="gear" /> Settings
            <span
              class={`dot ${auth.value?.state ?? "checking"}`}
              title={auth.value?.state === "signed_in" ? "Connected" : "Not connected"}
            />
          </button>
        </footer>
      </nav>
    </>
  );
}

function Row({ conversation }: { conversation: Conversation }) {
  const [editing, setEditing] = useState(false);
  const here = current.value === conversation.id;
  if (editing)
    return (
      <li>
        <input
          class="rename"
          aria-label="New title"
          defaultValue={conversation.title}
          ref={(element) => element?.focus()}
          onKeyDown={(event) => {
            if (event.key === "Escape") setEditing(false);
            if (event.key === "Enter" && !event.isComposing) event.currentTarget.blur();
          }}
          onBlur={(event) => {
            const title = event.currentTarget.value.trim();
            if (title && title !== conversation.title) void rename(conversation.id, title);
            setEditing(false);
          }}
        />
      </li>
    );
  return (
    <li class={here ? "here" : ""}>
      <a
        href={`/c/${conversation.id}`}
        aria-current={here ? "page" : undefined}
        dir="auto"
        onClick={(event) => {
          event.preventDefault();
          go(`/c/${conversation.id}`);
        }}
      >
        {conversation.turn !== "idle" && <span class={`turn ${conversation.turn}`} aria-hidden="true" />}
        {conversation.title || "New chat"}
      </a>
      <button type="button" aria-label={`Rename ${conversation.title}`} title="Rename" onClick={() => setEditing(true)}>
        <Icon name="pencil" />
      </button>
      <button
        type="button"
        aria-label={`Delete ${conversation.title}`}
        title="Delete"
        onClick={() => void remove(conversation)}
      >
        <Icon name="bin" />
      </button>
    </li>
  );
}
