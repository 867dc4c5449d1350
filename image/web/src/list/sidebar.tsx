import { useEffect, useRef } from "preact/hooks";
import { conversations, found, hasDeleted, hasMore, loadMore, query, search } from "../conversations";
import { Icon } from "../parts/icon";
import { Mark } from "../parts/mark";
import { drawerOpen, inSettings, linkTo, place, toChat, toSettings } from "../place";
import { openTerminal } from "../terminal/open";
import { auth, boot, greetedAs } from "../workspace";
import { byAge } from "./ages";
import { Row } from "./row";

export function Sidebar({ hide }: { hide: () => void }) {
  const close = () => {
    drawerOpen.value = false;
  };
  const box = useRef<HTMLElement>(null);
  useDrawerFocus(box);
  return (
    <>
      {drawerOpen.value && (
        <button type="button" class="scrim" tabIndex={-1} aria-label="Close the list" onClick={close} />
      )}
      <aside
        class={`sidebar ${drawerOpen.value ? "open" : ""}`}
        ref={box}
        onKeyDown={(event) => event.key === "Escape" && close()}
      >
        <Brand hide={hide} close={close} />
        <button type="button" class="new" onClick={() => toChat()}>
          <Icon name="plus" /> New chat
        </button>
        <nav class="places" aria-label="Workspace">
          <Places />
        </nav>
        <Search />
        <nav class="conversations" aria-label="Conversations">
          <Conversations />
        </nav>
        <Foot />
      </aside>
    </>
  );
}

/** It has the focus while it is open; then what opened it has it again, if nothing else has taken it. */
function useDrawerFocus(box: { current: HTMLElement | null }): void {
  const opener = useRef<Element | null>(null);
  useEffect(() => {
    if (drawerOpen.value) {
      opener.current = document.activeElement;
      box.current?.querySelector("button")?.focus();
      return;
    }
    const focused = document.activeElement;
    const isLost = !focused || focused === document.body || box.current?.contains(focused);
    if (isLost && opener.current instanceof HTMLElement) opener.current.focus();
    opener.current = null;
  }, [drawerOpen.value]);
}

function Brand({ hide, close }: { hide: () => void; close: () => void }) {
  return (
    <div class="brand">
      <Mark />
      <div>
        <strong>My Jarvis</strong>
        {greetedAs.value && <small dir="auto">{greetedAs.value}’s workspace</small>}
      </div>
      <button type="button" class="mini only-broad" aria-label="Hide sidebar" title="Hide sidebar" onClick={hide}>
        <Icon name="panel" />
      </button>
      <button type="button" class="mini only-narrow" aria-label="Close the list" onClick={close}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function Places() {
  const isHere = place.value.page === "files";
  return (
    <>
      <a
        {...linkTo({ page: "files", path: "" })}
        class={isHere ? "here" : ""}
        aria-current={isHere ? "page" : undefined}
      >
        <Icon name="folder" /> Files
      </a>
      <button type="button" onClick={openTerminal}>
        <Icon name="terminal" /> Terminal
      </button>
    </>
  );
}

const TYPING_MS = 180;

function Search() {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const typed = (words: string) => {
    query.value = words;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void search(words), words ? TYPING_MS : 0);
  };
  return (
    <label class="search">
      <Icon name="search" />
      <input
        type="search"
        placeholder="Search"
        aria-label="Search conversations"
        value={query.value}
        onInput={(event) => typed(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || !query.value) return;
          event.stopPropagation();
          typed("");
        }}
      />
    </label>
  );
}

function Conversations() {
  const shown = found.value ?? conversations.value;
  if (shown.length === 0)
    return (
      <>
        <p class="none">
          {found.value
            ? `Nothing found for “${query.value}”.`
            : "Your conversations appear here and stay until you delete them."}
        </p>
        <Deleted />
      </>
    );
  return (
    <>
      {byAge(shown, new Date()).map(({ age, members }) => (
        <section key={age} aria-label={age}>
          <h2>{age}</h2>
          <ul>
            {members.map((conversation) => (
              <Row key={conversation.id} conversation={conversation} />
            ))}
          </ul>
        </section>
      ))}
      {hasMore.value ? <More key={shown.length} /> : <Deleted />}
    </>
  );
}

/** At the end of the list: where to look for what is not in it any more. */
const Deleted = () =>
  hasDeleted.value && !found.value ? (
    <p class="none">
      <a {...linkTo({ page: "settings", section: "data" })}>Recently deleted</a>
    </p>
  ) : null;

/** More come by themselves when she has scrolled down to here. */
function More() {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      seen.disconnect();
      void loadMore();
    });
    if (button.current) seen.observe(button.current);
    return () => seen.disconnect();
  }, []);
  return (
    <button type="button" class="plain" ref={button} onClick={() => void loadMore()}>
      Show more
    </button>
  );
}

const DOTS = { checking: "Checking", signed_out: "Not connected", signed_in: "Connected" } as const;

function Foot() {
  const state = auth.value?.state ?? "checking";
  return (
    <div class="foot">
      <button
        type="button"
        class={inSettings.value ? "here" : ""}
        onClick={() => toSettings(state === "signed_out" ? "authentication" : "general")}
      >
        <Icon name="sliders" /> Settings
        <span class="grow" />
        {boot.value && <span class={`dot ${state}`} role="img" aria-label={DOTS[state]} title={DOTS[state]} />}
      </button>
    </div>
  );
}
