import { useEffect, useState } from "preact/hooks";
import { isMeant, MODES } from "../chat/mode";
import { EFFORTS, loadModels, models } from "../chat/options";
import { choose, permission, wanted } from "../notify";
import type { Rule } from "../protocol";
import { boot, change, settings } from "../workspace";
import { ask, attempt } from "../http";
import { Choice, Field, Group } from "./controls";

export function General() {
  const { display_name, language, enter_sends, detail, permission_mode } = settings.value;
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
        <Field label="Language" note="In which Claude answers you in the chat.">
          {(ids) => (
            <>
              <input
                {...ids}
                value={language}
                placeholder="The one you write in"
                list="languages"
                maxLength={40}
                onChange={(event) => void change({ language: event.currentTarget.value.trim() })}
              />
              <datalist id="languages">
                {LANGUAGES.map((one) => (
                  <option key={one} value={one} />
                ))}
              </datalist>
            </>
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
          note="In conversations that choose nothing of their own."
          kind="cards"
          value={permission_mode}
          options={MODES}
          pick={async (value) => (await isMeant(value)) && change({ permission_mode: value })}
        />
      </Group>
      <Allowed />
      <Group>
        <Model />
      </Group>
    </>
  );
}

/** To pick from; any other may be written. */
const LANGUAGES = [
  "العربية",
  "Deutsch",
  "English",
  "Español",
  "Français",
  "עברית",
  "हिन्दी",
  "Italiano",
  "日本語",
  "한국어",
  "Nederlands",
  "Polski",
  "Português",
  "Русский",
  "Türkçe",
  "Українська",
  "中文",
];

const WORDS = {
  default: "While you look elsewhere; where it can, also with this page closed. Your browser asks you once.",
  granted: "While you look elsewhere; where your browser can, also with this page closed.",
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

const MODELS = [
  { value: "opus", name: "Opus", efforts: [] },
  { value: "sonnet", name: "Sonnet", efforts: [] },
  { value: "haiku", name: "Haiku", efforts: [] },
];
const OTHER = "other";

function Model() {
  const { model, effort } = settings.value;
  useEffect(() => void loadModels(), []);
  const known = models.value.length ? models.value : MODELS;
  const named = known.filter((one) => one.value);
  const [isOther, setOther] = useState(false);
  const isStrange = isOther || (model !== "" && !named.some((one) => one.value === model));
  const efforts: readonly string[] = known.find((one) => one.value === model)?.efforts ?? [];
  return (
    <>
      <Field label="Model" note="Which Claude answers you. What you may choose depends on your plan.">
        {(ids) => (
          <select
            {...ids}
            value={isStrange ? OTHER : model}
            onChange={(event) => {
              const chosen = event.currentTarget.value;
              setOther(chosen === OTHER);
              if (chosen !== OTHER) void change({ model: chosen });
            }}
          >
            <option value="">Claude’s own choice</option>
            {named.map((one) => (
              <option key={one.value} value={one.value}>
                {one.name}
              </option>
            ))}
            <option value={OTHER}>Another one …</option>
          </select>
        )}
      </Field>
      {isStrange && (
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
      {(efforts.length > 0 || effort) && (
        <Field
          label="Effort"
          note="How hard Claude thinks before it answers. More takes longer and uses more of your plan."
        >
          {(ids) => (
            <select {...ids} value={effort} onChange={(event) => void change({ effort: event.currentTarget.value })}>
              {[...new Set(["", ...efforts, effort])].map((one) => (
                <option key={one} value={one}>
                  {EFFORTS[one] ?? one}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </>
  );
}

/** What she answered with “Always allow”, to be taken back. */
function Allowed() {
  const [rules, setRules] = useState<readonly Rule[]>([]);
  useEffect(() => {
    void ask<{ rules: Rule[] }>("GET", "/api/permissions").then(
      (answer) => setRules(answer.rules.filter((one) => one.behavior === "allow")),
      () => undefined,
    );
  }, []);
  const forget = async (rule: Rule) => {
    if ((await attempt(ask<null>("DELETE", "/api/permissions", rule))) === undefined) return;
    setRules((before) => before.filter((one) => one !== rule));
  };
  if (!rules.length) return null;
  return (
    <Group>
      <div class="field">
        <div class="field-words">
          <h3 id="allowed-title">What Claude may always do</h3>
          <p>You said so on a card. Take one back, and Claude asks again.</p>
        </div>
      </div>
      <ul class="devices" aria-labelledby="allowed-title">
        {rules.map((one) => (
          <li class="field" key={one.rule}>
            <code class="grow" dir="ltr">
              {one.rule}
            </code>
            <button type="button" class="plain" aria-label={`Take back ${one.rule}`} onClick={() => void forget(one)}>
              Take back
            </button>
          </li>
        ))}
      </ul>
    </Group>
  );
}
