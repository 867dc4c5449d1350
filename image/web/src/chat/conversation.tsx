// One conversation on the screen. A chunk of its own.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { workspaceNow } from "../http";
import { live } from "../live";
import { Icon } from "../parts/icon";
import type { Item } from "../protocol";
import { Ask } from "./ask";
import { isLoading, loadOlder, sending, timeline } from "./chat";
import { useEnd } from "./end";
import { AssistantMessage, SendingMessage, UserMessage } from "./message";
import { End, Notice } from "./notice";
import { beganAt, lasting, type Passage, passages } from "./passages";
import { Steps } from "./steps";

export default function Conversation() {
  const { items, more, turn } = timeline.value;
  const shown = useMemo(() => passages(items), [items]);
  const end = useEnd(sending.value.length);
  useLastPlace(end.box, items[0]?.id);
  return (
    <>
      <div class="scroller" ref={end.box} onScroll={end.scrolled}>
        <div class="column timeline" ref={end.content} role="log" aria-live="off" aria-label="Conversation">
          {more && <Older />}
          {isLoading.value && <Loading />}
          {shown.map((passage) => (
            <PassageView key={passage.id} passage={passage} />
          ))}
          {sending.value.map((one) => (
            <SendingMessage key={one.message_id} message={one} isConnected={live.state.value === "open"} />
          ))}
          {turn === "running" && <Working since={beganAt(items)} />}
        </div>
      </div>
      {end.isAway && (
        <div class="jump">
          <button type="button" onClick={end.jump}>
            <Icon name="down" />
            {turn === "waiting" ? "Claude waits for your answer" : "Jump to latest"}
          </button>
        </div>
      )}
    </>
  );
}

function PassageView({ passage }: { passage: Passage }) {
  const item = passage.kind === "item" ? passage.item : null;
  // The same element for the same item: only what changed is drawn again.
  const view = useMemo(() => item && itemView(item), [item]);
  return passage.kind === "steps" ? <Steps steps={passage.steps} /> : view;
}

function itemView(item: Exclude<Item, { kind: "tool" | "thinking" }>) {
  switch (item.kind) {
    case "user":
      return <UserMessage item={item} />;
    case "assistant":
      return <AssistantMessage item={item} />;
    case "ask":
      return <Ask item={item} />;
    case "notice":
      return <Notice item={item} />;
    case "end":
      return <End item={item} />;
    default:
      return null; // of a server that knows more
  }
}

/** Older messages come by themselves when she has scrolled up to here. */
function Older() {
  const [isBusy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const load = () => {
    setBusy(true);
    void loadOlder().finally(() => setBusy(false));
  };
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && !isBusy && load(), {
      root: button.current?.closest(".scroller") ?? null,
      rootMargin: "400px",
    });
    if (button.current) seen.observe(button.current);
    return () => seen.disconnect();
  }, [isBusy]);
  return (
    <button type="button" class="plain older" ref={button} disabled={isBusy} onClick={load}>
      {isBusy ? "Loading …" : "Show earlier messages"}
    </button>
  );
}

/** What she reads stays where it is while older messages come in above it. */
function useLastPlace(box: { current: HTMLElement | null }, first: string | undefined): void {
  const before = useRef({ first, height: 0 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    if (before.current.first && before.current.first !== first)
      element.scrollTop += element.scrollHeight - before.current.height;
    before.current = { first, height: element.scrollHeight };
  });
}

const QUIET_MS = 250;
const COUNTS_FROM_MS = 5000;

function Working({ since }: { since: number | null }) {
  const [lastsMs, setLasts] = useState(0);
  useEffect(() => {
    if (since === null) return;
    const count = () => setLasts(workspaceNow() - since);
    count();
    const timer = setInterval(count, 1000);
    return () => clearInterval(timer);
  }, [since]);
  return (
    <p class="working">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      Claude is working
      {since !== null && lastsMs >= COUNTS_FROM_MS && <span class="seconds">{lasting(lastsMs)}</span>}
    </p>
  );
}

function Loading() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, []);
  return late ? (
    <div class="loading" role="status" aria-label="Loading the conversation">
      <i class="bone short" />
      <i class="bone" />
      <i class="bone" />
      <i class="bone mid" />
    </div>
  ) : null;
}
