import { useEffect } from "preact/hooks";
import { CopyButton } from "../parts/copy";
import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { loadTerminal, openTerminal } from "../terminal/open";
import { auth, authWords, checkAuth, isSignedIn, logOut } from "../workspace";
import { Group } from "./controls";

export function Authentication() {
  useEffect(() => {
    void checkAuth();
    void loadTerminal().catch(() => undefined);
  }, []);
  return (
    <>
      <Group>
        <div class="field status-field">
          <AuthStatus />
          {isSignedIn.value && (
            <button type="button" class="plain" onClick={() => void confirmLogOut()}>
              Log out
            </button>
          )}
        </div>
      </Group>
      {isSignedIn.value ? <Connected /> : <Guide />}
    </>
  );
}

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

async function confirmLogOut(): Promise<void> {
  const yes = await askHer({
    title: "Log out of Claude?",
    text: "Claude will not answer until you connect again. Your conversations and files stay.",
    action: "Log out",
    isDangerous: true,
  });
  if (yes !== null) await logOut();
}

function Connected() {
  return (
    <div class="group guide">
      <p class="settings-text">
        Claude Code is ready, in the chat and in the terminal. In the terminal you can use it as programmers do: type{" "}
        <code>claude</code> and press Enter.
      </p>
      <OpenTerminal />
    </div>
  );
}

function Guide() {
  return (
    <div class="group guide">
      <p class="settings-text">
        Claude works with your own Anthropic account, with a Claude plan or an API account. You connect it once, in a
        terminal: a window in which you type commands. Your login stays in this workspace.
      </p>
      <LoginSteps />
      <OpenTerminal />
      <details class="settings-text">
        <summary>With an API key instead</summary>
        <p>
          If you pay Anthropic by usage, choose “Anthropic Console account” by typing{" "}
          <code>{LOGIN_COMMAND} --console</code> in place of the command above: Claude makes the key and keeps it in
          this workspace. You need not type or export a key yourself. Whoever set up this workspace can also give it a
          key for good; then you see “Connected with an API key” here, without any login.
        </p>
      </details>
    </div>
  );
}

function OpenTerminal() {
  return (
    <button type="button" class="primary big" onClick={openTerminal}>
      <Icon name="terminal" /> Open Terminal
    </button>
  );
}

export const LOGIN_COMMAND = "claude authenticate";

/** The way to a login, in words for people who never saw a terminal; `at` is the step that she is at. */
export function LoginSteps({ at = -1, link }: { at?: number; link?: preact.ComponentChildren }) {
  const steps = [
    <>
      Open the terminal <small>with the button below.</small>
    </>,
    <>
      Type{" "}
      <span class="command-word">
        <code>{LOGIN_COMMAND}</code>
        <CopyButton text={() => LOGIN_COMMAND} label="Copy command" />
      </span>{" "}
      and press Enter. <small>A link appears.</small>
    </>,
    <>
      Click the link, log in on Claude’s own page, and copy the code that you get there.
      {link}
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
