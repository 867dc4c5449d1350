// How freely Claude acts: always on the screen, one click to change.

import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import type { Settings } from "../protocol";
import { change, settings } from "../workspace";

type Mode = Settings["permission_mode"];

export const MODES: Record<Mode, { label: string; note: string }> = {
  default: { label: "Ask first", note: "Claude asks before it changes files or runs commands." },
  acceptEdits: { label: "Edit freely", note: "Claude changes files without asking, and asks before it runs commands." },
  plan: { label: "Plan first", note: "Claude looks around, shows you a plan, and waits for your yes." },
  bypassPermissions: { label: "Never ask", note: "Claude does everything in this workspace without asking." },
};

/** The one choice that takes her safety net away is confirmed first. */
export async function chooseMode(mode: Mode): Promise<void> {
  if (mode === "bypassPermissions") {
    const yes = await askHer({
      title: "Let Claude act without asking?",
      text: "Claude will run commands and change or delete files in this workspace without asking you first.",
      action: "Never ask me",
      isDangerous: true,
    });
    if (yes === null) return;
  }
  await change({ permission_mode: mode });
}

export function ModeChoice() {
  const mode = settings.value.permission_mode;
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
          void chooseMode(chosen);
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
