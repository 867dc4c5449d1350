import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { AuthStatus, Steps } from "./connection";
import { Icon } from "./icons";
import { auth, boot, change, go, logOut, type Section, settings, terminalOpen } from "./store";

const SECTIONS: Record<Section, string> = {
  general: "General",
  appearance: "Appearance",
  authentication: "Claude Code Authentication",
};
export function SettingsPage({ section }: { section: Section }) {
  return (
    <main class="settings" id="main">
      <div class="settings-head">
        <button type="button" class="quiet" onClick={() => go("/")}>
          <Icon name="back" /> Back to chat
        </button>
        <h1>Settings</h1>
      </div>
      <div class="settings-body">
        <nav aria-label="Settings">
          {(Object.keys(SECTIONS) as Section[]).map((one) => (
            <a
              key={one}
              href={`/settings/${one}`}
              aria-current={one === section ? "page" : undefined}
              onClick={(event) => {
                event.preventDefault();
                go(`/settings/${one}`);
              }}
            >
              {SECTIONS[one]}
            </a>
          ))}
        </nav>
        <section class="settings-section" aria-label={SECTIONS[section]}>
          <h2>{SECTIONS[section]}</h2>
          {section === "general" && <General />}
          {section === "appearance" && <Appearance />}
          {section === "authentication" && <Authentication />}
        </section>
      </div>
    </main>
  );
}

function General() {
  const { display_name, enter_sends, detail, permission_mode, model } = settings.value;
  const versions = boot.value?.versions;
  return (
    <>
      <Field label="Your name" note="How this page greets you.">
        <input
          value={display_name}
          placeholder={boot.value?.user.name}
          aria-label="Your name"
          onChange={(event) => void change({ display_name: event.currentTarget.value.trim() })}
        />
      </Field>
      <Field label="Enter key" note="Shift + Enter always starts a new line.">
        <Choice
          label="Enter key"
          value={enter_sends ? "send" : "line"}
          options={{ send: "Sends the message", line: "Starts a new line" }}
          pick={(value) => void change({ enter_sends: value === "send" })}
        />
      </Field>
      <Field label="What Claude shows" note="How much you see of the steps that Claude takes.">
        <Choice
          label="What Claude shows"
          value={detail}
          options={{ clean: "The essentials", detailed: "Every step" }}
          pick={(value) => void change({ detail: value })}
        />
      </Field>
      <Field label="Permission" note="When Claude asks you before it does something.">
        <Choice
          label="Permission"
          value={permission_mode}
          options={{
            default: "Ask me",
            acceptEdits: "Edit files freely",
            plan: "Plan first",
            bypassPermissions: "Never ask",
          }}
          pick={(value) => void change({ permission_mode: value })}
        />
      </Field>
      <Field label="Model" note="Leave empty for Claude’s own choice.">
        <input
          value={model}
          placeholder="Claude’s own choice"
          aria-label="Model"
          onChange={(event) => void change({ model: event.currentTarget.value.trim() })}
        />
      </Field>
      {versions && (
        <p class="versions">
          my-jarvis {versions.app} · Claude Code {versions.claude}
        </p>
      )}
    </>
  );
}

function Appearance() {
  return (
    <>
      <Field label="Theme">
        <Choice
          label="Theme"
          value={settings.value.theme}
          options={{ system: "Like my device", light: "Light", dark: "Dark" }}
          pick={(value) => void change({ theme: value })}
        />
      </Field>
      <Field label="Text size">
        <Choice
          label="Text size"
          value={settings.value.text_size}
          options={{ small: "Small", medium: "Medium", large: "Large" }}
          pick={(value) => void change({ text_size: value })}
        />
      </Field>
    </>
  );
}

function Authentication() {
  const signedIn = auth.value?.state === "signed_in";
  const [asking, setAsking] = useState(false);
  useEffect(() => void import("./terminal"), []);
  return (
    <>
      <AuthStatus />
      {!signedIn && (
        <>
          <p>
            Claude works with your own Anthropic account. You connect it once, in a terminal: a window in which you type
            commands. It takes a minute.
          </p>
          <Steps />
        </>
      )}
      <div class="actions">
        <button type="button" class="primary big" onClick={() => (terminalOpen.value = true)}>
          <Icon name="terminal" /> Open Terminal
        </button>
        {signedIn && !asking && (
          <button type="button" onClick={() => setAsking(true)}>
            Log out
          </button>
        )}
      </div>
      {asking && (
        <div class="card confirm" role="alertdialog" aria-label="Log out">
          <p>Claude will not answer until you connect again. Your chats and files stay.</p>
          <div class="actions">
            <button
              type="button"
              class="danger"
              onClick={() => {
                setAsking(false);
                void logOut();
              }}
            >
              Log out
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              Stay connected
            </button>
          </div>
        </div>
      )}
    </>
  );
}

function Field({ label, note, children }: { label: string; note?: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <div>
        <strong>{label}</strong>
        {note && <small>{note}</small>}
      </div>
      {children}
    </div>
  );
}

function Choice<T extends string>({
  label,
  value,
  options,
  pick,
}: {
  label: string;
  value: T;
  options: Record<T, string>;
  pick: (value: T) => void;
}) {
  return (
    <div class="choice" role="radiogroup" aria-label={label}>
      {(Object.keys(options) as T[]).map((one) => (
        <label key={one} class={one === value ? "picked" : ""}>
          <input type="radio" name={label} checked={one === value} onChange={() => pick(one)} />
          {options[one]}
        </label>
      ))}
    </div>
  );
}
