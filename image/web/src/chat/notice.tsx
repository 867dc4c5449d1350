// What went wrong, in a sentence, with the button that cures it.

import { useComputed } from "@preact/signals";
import { Icon, type IconName } from "../parts/icon";
import { toSettings } from "../place";
import type { EndItem, NoticeItem } from "../protocol";
import { isSignedIn, settings } from "../workspace";
import { say, timeline } from "./chat";
import { figures } from "./passages";

const TITLES: Record<NoticeItem["code"], string> = {
  not_connected: "Claude is not connected yet",
  login_expired: "Your login has expired",
  rate_limited: "Your plan’s limit is reached",
  overloaded: "Claude is busy",
  offline: "Claude cannot be reached",
  crashed: "This answer was cut off",
  failed: "That did not work",
};
const SIGNS: Partial<Record<NoticeItem["code"], IconName>> = { rate_limited: "clock", overloaded: "clock" };

/** A later server may know of more. */
const titleOf = (item: NoticeItem) => TITLES[item.code] ?? TITLES.failed;

/** The last thing that she said, to be said again. */
function lastWords(): string {
  const last = timeline.peek().items.findLast((item) => item.kind === "user");
  return last?.kind === "user" ? last.text : "";
}

/** Whether this stands at the end of a conversation that rests. */
function useIsLast(id: string) {
  return useComputed(() => {
    const { items, turn } = timeline.value;
    const last = items.findLast((item) => item.kind !== "end" || item.id === id);
    return turn === "idle" && last?.id === id;
  });
}

export function Notice({ item }: { item: NoticeItem }) {
  const isLast = useIsLast(item.id);
  const isOver = timeline.value.turn === "idle" || !isLast.value;
  const isLogin = item.code === "not_connected" || item.code === "login_expired";
  return (
    <section class={`item card notice ${item.code}`} role="note" aria-label={titleOf(item)}>
      <header>
        <Icon name={SIGNS[item.code] ?? "warning"} />
        <h2>{titleOf(item)}</h2>
      </header>
      <p dir="auto">{item.text}</p>
      {item.until && <p class="until">It is renewed {when(item.until)}.</p>}
      {isLogin && !isSignedIn.value && (
        <div class="actions">
          <button type="button" class="primary" onClick={() => toSettings("authentication")}>
            <Icon name="terminal" /> Open the terminal to connect
          </button>
        </div>
      )}
      {isOver && isLast.value && (!isLogin || isSignedIn.value) && <Again code={item.code} />}
    </section>
  );
}

function Again({ code }: { code: NoticeItem["code"] }) {
  const goesOn = code === "crashed";
  return (
    <div class="actions">
      <button type="button" onClick={() => say(goesOn ? "Please continue." : lastWords())}>
        <Icon name={goesOn ? "chevron" : "retry"} /> {goesOn ? "Continue" : "Send it again"}
      </button>
    </div>
  );
}

function when(until: string): string {
  const time = new Date(until);
  const isToday = time.toDateString() === new Date().toDateString();
  const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? `today at ${clock}` : `on ${time.toLocaleDateString([], { weekday: "long" })} at ${clock}`;
}

const ENDS: Record<EndItem["outcome"], string> = {
  completed: "",
  stopped: "You stopped Claude.",
  failed: "Claude could not finish this.",
  lost: "This answer was cut off.",
};

export function End({ item }: { item: EndItem }) {
  const isLast = useIsLast(item.id);
  if (item.outcome === "completed") {
    const words = settings.value.detail === "detailed" ? figures(item) : "";
    return words ? <p class="item end">{words}</p> : null;
  }
  return (
    <div class="item end">
      <span>{ENDS[item.outcome]}</span>
      {isLast.value && (
        <button type="button" class="plain" onClick={() => say("Please continue.")}>
          Continue
        </button>
      )}
    </div>
  );
}
