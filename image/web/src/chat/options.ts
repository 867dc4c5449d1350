// How Claude works in the conversation on the screen: as it was chosen there, else as in the settings.

import { computed, signal } from "@preact/signals";
import { revise, shownConversation as own } from "../conversations";
import { ask } from "../http";
import type { Model, Options } from "../protocol";
import { settings } from "../workspace";

/** Chosen for a conversation that does not exist yet. */
const fresh = signal<Partial<Options>>({});

export const options = computed(() => {
  const { permission_mode, model, effort } = own.value ?? fresh.value;
  return {
    mode: permission_mode ?? settings.value.permission_mode,
    model: model ?? settings.value.model,
    effort: effort ?? settings.value.effort,
  };
});

export async function chooseHere(part: Partial<Options>): Promise<void> {
  if (own.value) await revise(own.value.id, part);
  else fresh.value = { ...fresh.value, ...part };
}

/** What goes along with the first message; the next new conversation begins as in the settings again. */
export function takeFresh(): Partial<Options> | undefined {
  if (own.value) return undefined;
  const chosen = fresh.value;
  fresh.value = {};
  return Object.keys(chosen).length ? chosen : undefined;
}

export const models = signal<readonly Model[]>([]);

let asked: Promise<void> | undefined;

export function loadModels(): Promise<void> {
  asked ??= ask<{ models: Model[] }>("GET", "/api/models").then(
    (answer) => {
      models.value = answer.models;
    },
    () => {
      asked = undefined;
    },
  );
  return asked;
}

/** "Sonnet", also before the server was asked. */
export function nameOf(model: string): string {
  const known = models.value.find((one) => one.value === model)?.name;
  if (known && model) return known;
  return model ? model.charAt(0).toUpperCase() + model.slice(1) : "Claude’s choice";
}

export const EFFORTS: Record<string, string> = {
  "": "Normal",
  low: "Low",
  medium: "Medium",
  high: "High",
  xhigh: "Very high",
  max: "Highest",
};
