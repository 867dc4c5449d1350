// The way to a login, in words for people who never saw a terminal.

import "../style/login.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { isWebLink, OUTSIDE } from "../link";
import { CopyButton } from "../parts/copy";
import { Icon } from "../parts/icon";
import { isTerminalShown, loginLink, typist } from "../terminal/open";
import { auth, authWords } from "../workspace";

export const LOGIN_COMMAND = "claude authenticate";
const [OPEN, TYPE, FOLLOW, PASTE] = [0, 1, 2, 3];

export function AuthStatus() {
  const state = auth.value?.state ?? "checking";
  return (
    <p class={`status ${state}`} data-testid="auth-status" role="status">
      {state === "checking" ? (
        <span class="spinner" aria-hidden="true" />
      ) : (
        <Icon name={state === "signed_in" ? "check" : "warning"} />
      )}
      <span>{authWords(auth.value)}</span>
    </p>
  );
}

/** Four steps, of which the one that she is at stands out. */
export function LoginSteps() {
  const at = useStep();
  const steps = [
    at > OPEN ? (
      "The terminal is open."
    ) : (
      <>
        Open the terminal. <small>It is a window in which you type commands.</small>
      </>
    ),
    <>
      Type{" "}
      <span class="command-word">
        <code>{LOGIN_COMMAND}</code>
        <CopyButton text={() => LOGIN_COMMAND} label="Copy command" />
      </span>{" "}
      and press Enter. <small>A link appears.</small>
      {at === TYPE && <TypeIt />}
    </>,
    <>
      Click the link, log in on Claude’s own page, and copy the code that you get there.
      {at >= FOLLOW && <LoginLink />}
    </>,
    <>
      Paste the code into the terminal and press Enter.
      <small class="for-keyboards">To paste: Ctrl + V, on a Mac ⌘ + V.</small>
      <small class="for-fingers">To paste: the Paste key below the terminal.</small>
    </>,
  ];
  return (
    <ol class="login-steps">
      {steps.map((step, index) => (
        <li
          key={index}
          data-step={index + 1}
          class={index < at ? "past" : ""}
          aria-current={index === at ? "step" : undefined}
        >
          <div>{step}</div>
        </li>
      ))}
    </ol>
  );
}

function useStep(): number {
  const wasAway = useWasAway(loginLink.value);
  if (!isTerminalShown.value) return OPEN;
  if (!loginLink.value) return TYPE;
  return wasAway ? PASTE : FOLLOW;
}

/** Whether she has left for another page since this link appeared, and come back: with a code, most likely. */
function useWasAway(link: string | null): boolean {
  const [left, setLeft] = useState<string | null>(null);
  useEffect(() => {
    const looked = () => link && document.visibilityState === "visible" && setLeft(link);
    document.addEventListener("visibilitychange", looked);
    return () => document.removeEventListener("visibilitychange", looked);
  }, [link]);
  return link !== null && left === link;
}

function TypeIt() {
  const type = typist.value;
  if (!type) return null;
  return (
    <button type="button" class="step-button" onClick={() => type(`${LOGIN_COMMAND}\r`)}>
      Type it for me
    </button>
  );
}

function LoginLink() {
  const link = loginLink.value;
  if (!link || !isWebLink(link)) return null;
  return (
    <a class="button primary step-button" href={link} {...OUTSIDE}>
      <Icon name="external" /> Go to Claude’s login page
    </a>
  );
}

/** Says that it has worked, and leads on. */
export function Done({ leave }: { leave: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.scrollIntoView({ block: "nearest" }), []);
  // Not while she may still be typing.
  useEffect(() => {
    if (!isTerminalShown.value) button.current?.focus();
  }, [isTerminalShown.value]);
  return (
    <div class="login-done" role="status">
      <span class="done-sign">
        <Icon name="check" />
      </span>
      <h2>You are connected</h2>
      <p>
        Claude is ready{auth.value?.email ? ` for ${auth.value.email}` : ""}. You need the terminal no more, unless you
        like it.
      </p>
      <button type="button" class="primary" ref={button} onClick={leave}>
        Go to the chat
      </button>
    </div>
  );
}
