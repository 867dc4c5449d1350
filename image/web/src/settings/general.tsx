import { useState } from "preact/hooks";
import { chooseMode, MODES } from "../chat/mode";
import { choose, permission, wanted } from "../notify";
import { boot, change, settings } from "../workspace";
import { Choice, Field, Group } from "./controls";

export function General() {
  const { display_name, enter_sends, detail, permission_mode } = settings.value;
  return (
    <>
      <Group>
        <Field label="Your name" note="How this page greets you.">
          {(ids) => (
            <input
              {...ids}
              value={display_name}
              placeholder={boot.value?.user.name ?? ""}
              maxLength={100}
              autocomplete="name"
              onChange={(event) => void change({ display_name: event.currentTarget.value.trim() })}
            />
          )}
        </Field>
        <Choice
          label="Enter key"
          note="Shift + Enter always starts a new line, Ctrl + Enter always sends."
          kind="segments"
          value={enter_sends ? "send" : "line"}
          options={{ send: { label: "Sends" }, line: { label: "New line" } }}
          pick={(value) => void change({ enter_sends: value === "send" })}
        />
        <Choice
          label="Claude’s steps"
          note="How much you see of what Claude does on the way."
          kind="segments"
          value={detail}
          options={{ clean: { label: "In short" }, detailed: { label: "In full" } }}
          pick={(value) => void change({ detail: value })}
        />
        <Notifications />
      </Group>
      <Group>
        <Choice
          label="When Claude asks you"
          note="For all conversations in this workspace."
          kind="cards"
          value={permission_mode}
          options={MODES}
          pick={(value) => void chooseMode(value)}
        />
      </Group>
      <Group>
        <Model />
      </Group>
    </>
  );
}

const WORDS = {
  default: "While this page is in the background. Your browser asks you once.",
  granted: "While this page is in the background.",
  denied: "Your browser does not allow it for this page: its settings can change that.",
  missing: "This browser cannot do that here. On an iPhone or iPad, add this page to the home screen first.",
} as const;

function Notifications() {
  const isPossible = permission.value === "default" || permission.value === "granted";
  return (
    <Field label="Tell me when Claude is done or waits for me" note={`On this device. ${WORDS[permission.value]}`}>
      {(ids) => (
        <input
          {...ids}
          type="checkbox"
          role="switch"
          checked={wanted.value && permission.value === "granted"}
          disabled={!isPossible}
          onChange={(event) => void choose(event.currentTarget.checked)}
        />
      )}
    </Field>
  );
}

const MODELS: Record<string, string> = {
  "": "Claude’s own choice",
  opus: "Opus: the most capable",
  sonnet: "Sonnet: quick and capable",
  haiku: "Haiku: the quickest",
};
const OTHER = "other";

function Model() {
  const { model } = settings.value;
  const [isOther, setOther] = useState(!(model in MODELS));
  return (
    <>
      <Field label="Model" note="Which Claude answers you. What you may choose depends on your plan.">
        {(ids) => (
          <select
            {...ids}
            value={isOther ? OTHER : model}
            onChange={(event) => {
              const chosen = event.currentTarget.value;
              setOther(chosen === OTHER);
              if (chosen !== OTHER) void change({ model: chosen });
            }}
          >
            {Object.entries({ ...MODELS, [OTHER]: "Another one …" }).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {isOther && (
        <Field label="Name of the model" note="As Anthropic writes it.">
          {(ids) => (
            <input
              {...ids}
              value={model}
              maxLength={100}
              autocapitalize="off"
              spellcheck={false}
              onChange={(event) => void change({ model: event.currentTarget.value.trim() })}
            />
          )}
        </Field>
      )}
    </>
  );
}
