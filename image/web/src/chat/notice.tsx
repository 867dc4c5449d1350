// What went wrong, in a sentence, with the button that cures it.

import { useComputed } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Icon, type IconName } from "../parts/icon";
import { toSettings } from "../place";
import type { EndItem, NoticeItem } from "../protocol";
import { isSignedIn, settings } from "../workspace";
import { goOn, retry, timeline } from "./chat";
import { openModels } from "./model";
import { figures } from "./passages";

const TITLES: Record<NoticeItem["code"], string> = {
  not_connected: "Claude is not connected yet",
  login_expired: "Your login has expired",
  refused: "Your login or key is refused",
  rate_limited: "Your plan’s limit is reached",
  overloaded: "Claude is busy",
  offline: "Claude cannot be reached",
  crashed: "This answer was cut off",
  failed: "That did not work",
};
const SIGNS: Partial<Record<NoticeItem["code"], IconName>> = { rate_limited: "clock", overloaded: "clock" };

/** With these she has connected before, and has to once more. */
const AGAIN: ReadonlySet<NoticeItem["code"]> = new Set(["login_expired", "refused"]);

/** A later server may know of more. */
const titleOf = (item: NoticeItem) => TITLES[item.code] ?? TITLES.failed;

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
  return (
    <section class={`item card notice ${item.code}`} role="note" aria-label={titleOf(item)}>
      <header>
        <Icon name={SIGNS[item.code] ?? "warning"} />
        <h2>{titleOf(item)}</h2>
      </header>
      <p dir="auto">{item.text}</p>
      {item.until && <p class="until">It is renewed {when(item.until)}.</p>}
      {isLast.value && <Cure item={item} />}
    </section>
  );
}

/** The button that helps; where the server tries again by itself there is none. */
function Cure({ item: { action, code, until } }: { item: NoticeItem }) {
  const isOver = useIsOver(until);
  switch (action) {
    case "open_terminal":
      return (
        <>
          {isSignedIn.value && <Retry />}
          {(!isSignedIn.value || AGAIN.has(code)) && <LogIn isAgain={AGAIN.has(code)} />}
        </>
      );
    case "continue":
      return (
        <Act icon="chevron" run={goOn}>
          Continue
        </Act>
      );
    case "choose_model":
      return (
        <Act icon="spark" run={openModels}>
          Choose another model
        </Act>
      );
    case "wait":
      return isOver ? <Retry /> : null;
    case "retry":
      return <Retry />;
    default:
      return null;
  }
}

const Retry = () => (
  <Act icon="retry" run={() => retry()}>
    Send it again
  </Act>
);

const LogIn = ({ isAgain }: { isAgain: boolean }) => (
  <Act icon="terminal" isPrimary run={() => toSettings("authentication")}>
    {isAgain ? "Connect again" : "Open the terminal to connect"}
  </Act>
);

interface ActProps {
  icon: IconName;
  isPrimary?: boolean;
  run: () => void;
  children: string;
}

function Act({ icon, isPrimary, run, children }: ActProps) {
  return (
    <div class="actions">
      <button type="button" class={isPrimary ? "primary" : ""} onClick={run}>
        <Icon name={icon} /> {children}
      </button>
    </div>
  );
}

const LOOK_AGAIN_MS = 15_000;

/** Whether that time has come; true where none is given. */
function useIsOver(until: string | null): boolean {
  const isOver = () => !until || Date.now() >= new Date(until).getTime();
  const [over, setOver] = useState(isOver);
  useEffect(() => {
    if (over) return;
    const timer = setInterval(() => setOver(isOver()), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [over, until]);
  return over;
}

function when(until: string): string {
  const time = new Date(until);
  const isToday = time.toDateString() === new Date().toDateString();
  const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? `today at ${clock}` : `on ${time.toLocaleDateString("en", { weekday: "long" })} at ${clock}`;
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
        <button type="button" class="plain" onClick={goOn}>
          Continue
        </button>
      )}
    </div>
  );
}
