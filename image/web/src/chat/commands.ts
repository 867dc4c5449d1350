// The commands that Claude knows in this workspace.

import { signal } from "@preact/signals";
import { ask } from "../http";
import type { Command } from "../protocol";

/** Their names stand here without the slash. */
export const commands = signal<readonly Command[]>([]);

let asked: Promise<void> | undefined;

export function loadCommands(): Promise<void> {
  asked ??= ask<{ commands: Command[] }>("GET", "/api/commands").then(
    (answer) => {
      commands.value = answer.commands.map((one) => ({ ...one, name: one.name.replace(/^\//, "") }));
    },
    () => {
      asked = undefined;
    },
  );
  return asked;
}
