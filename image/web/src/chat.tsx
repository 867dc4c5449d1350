import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, Mark } from "./icons";
import { ItemView } from "./items";
import { auth, connected, current, go, loadOlder, name, say, settings, stop, timeline, unsent } from "./store";

const NEAR_END_PX = 80;
const IDEAS = ["Plan my week with me", "Write a polite e-mail for me", "Explain the files in my workspace"];

export function Chat() {
  const id = current.value;
  const { items, more, turn } = timeline.value;
  const waiting = unsent.value.filter((one) => one.conversation === id);
  const empty = !id || (items.length === 0 && waiting.length === 0);
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const follows = useRef(true);

  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && follows.current) box.scrollTop = box.scrollHeight;
  });
  useEffect(() => {
    follows.current = true;
    setAtEnd(true);
  }, [id]);

  const scrolled = () => {
    const box = scroller.current;
    if (!box) return;
    follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
    setAtEnd(follows.current);
  };
  const toEnd = () => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });

  return (
    <main class="chat" id="main">
      <div class="scroller" ref={scroller} onScroll={scrolled}>
        {empty ? (
          <Welcome />
        ) : (
          <div class="column timeline" role="log" aria-live="off">
            {more && (
              <button type="button" class="quiet older" onClick={() => void loadOlder()}>
                Show earlier messages
              </button>
            )}
            {items.map((item) => (
              <ItemView key={item.id} item={item} />
            ))}
            {waiting.map((one) => (
              <article class="item user sending" data-role="user" dir="auto" key={one.message_id}>
                <p>{one.text}</p>
                <small>{connected.value ? "Sending …" : "Will be sent when you are connected again"}</small>
              </article>
            ))}
            {turn === "running" && <p class="working">Claude is working</p>}
          </div>
        )}
      </div>
      {!atEnd && (
        <button type="button" class="jump" onClick={toEnd}>
          <Icon name="down" /> Latest
        </button>
      )}
      <Composer running={turn !== "idle"} key={id ?? "new"} draftOf={id ?? "new"} />
    </main>
  );
}

function Welcome() {
  const state = auth.value?.state;
  return (
    <div class="column welcome">
      <Mark />
      <h1>{name.value ? `Hello, ${name.value}.` : "Hello."}</h1>
      {state === "signed_out" ? (
        <section class="card connect">
          <h2>Connect Claude Code</h2>
          <p>
            This workspace is yours. Connect it to your own Anthropic account once, and Claude can start working for
            you.
          </p>
          <button type="button" class="primary" onClick={() => go("/settings/authentication")}>
            Show me how
          </button>
        </section>
      ) : (
        <>
          <p class="lead">What shall we work on?</p>
          {state === "signed_in" && (
            <div class="ideas">
              {IDEAS.map((idea) => (
                <button type="button" key={idea} onClick={() => say(idea)}>
                  {idea}
                </button>
              ))}
            </div>
          )}
        </>
      )}
    </div>
  );
}

function Composer({ running, draftOf }: { running: boolean; draftOf: string }) {
  const key = `draft:${draftOf}`;
  const [text, setText] = useState(() => sessionStorage.getItem(key) ?? "");
  const area = useRef<HTMLTextAreaElement>(null);

  useLayoutEffect(() => {
    const box = area.current;
    if (!box) return;
    box.style.setProperty("height", "auto");
    box.style.setProperty("height", `${Math.min(box.scrollHeight, innerHeight * 0.4)}px`);
    sessionStorage.setItem(key, text);
  }, [text, key]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) area.current?.focus();
  }, []);

  const send = () => {
    if (!text.trim()) return;
    sessionStorage.removeItem(key);
    say(text.trim());
    setText("");
    area.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    // While an input method composes, Enter ends the word and not the message.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    if (settings.value.enter_sends ? event.shiftKey : !(event.ctrlKey || event.metaKey)) return;
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
      <div class="composer-box">
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label="Message Claude"
          placeholder="Message Claude"
          enterkeyhint={settings.value.enter_sends ? "send" : "enter"}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={pressed}
        />
        {running && (
          <button type="button" class="round" aria-label="Stop" title="Stop" onClick={stop}>
            <Icon name="stop" />
          </button>
        )}
        <button type="submit" class="round primary" aria-label="Send" title="Send" disabled={!text.trim()}>
          <Icon name="send" />
        </button>
      </div>
      <p class="hint">
        {settings.value.enter_sends ? "Enter sends, Shift + Enter starts a new line." : "Ctrl + Enter sends."} Claude
        can make mistakes.
      </p>
    </form>
  );
}
