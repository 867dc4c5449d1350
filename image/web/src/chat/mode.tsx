// How freely Claude acts: always on the screen, one click to change.

import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import type { Mode } from "../protocol";
import { chooseHere, options } from "./options";

export const MODES: Record<Mode, { label: string; note: string }> = {
  default: { label: "Ask first", note: "Claude asks before it changes files or runs commands." },
  acceptEdits: { label: "Edit freely", note: "Claude changes files without asking, and asks before it runs commands." },
  plan: { label: "Plan first", note: "Claude looks around, shows you a plan, and waits for your yes." },
  bypassPermissions: { label: "Never ask", note: "Claude does everything in this workspace without asking." },
};

/** The one choice that takes her safety net away is confirmed first. */
export async function isMeant(mode: Mode): Promise<boolean> {
  if (mode !== "bypassPermissions") return true;
  const yes = await askHer({
    title: "Let Claude act without asking?",
    text: "Claude will run commands and change or delete files in this workspace without asking you first.",
    action: "Never ask me",
    isDangerous: true,
  });
  return yes !== null;
}

async function pick(mode: Mode): Promise<void> {
  if (await isMeant(mode)) await chooseHere({ permission_mode: mode });
}

export function ModeChoice() {
  const { mode } = options.value;
  return (
    <label class={`mode ${mode}`} title={MODES[mode].note}>
      <Icon name={mode === "bypassPermissions" ? "warning" : mode === "plan" ? "list" : "shield"} />
      <span aria-hidden="true">{MODES[mode].label}</span>
      <Icon name="chevron" />
      <select
        aria-label="When Claude asks you"
        value={mode}
        onChange={(event) => {
          const chosen = event.currentTarget.value as Mode;
          event.currentTarget.value = mode;
          void pick(chosen);
        }}
      >
        {(Object.keys(MODES) as Mode[]).map((one) => (
          <option key={one} value={one}>
            {MODES[one].label}
          </option>
        ))}
      </select>
    </label>
  );
}
