// The commands that Claude knows in this workspace.

import { signal } from "@preact/signals";
import { ask } from "../http";

export interface Command {
  name: string;
  about: string;
  /** What it is given, as Claude writes it: "[instructions]". */
  takes: string;
}

export const commands = signal<readonly Command[]>([]);

let asked: Promise<void> | undefined;

export function loadCommands(): Promise<void> {
  asked ??= ask<{ commands: Command[] }>("GET", "/api/commands").then(
    (answer) => {
      commands.value = answer.commands;
    },
    () => {
      asked = undefined;
    },
  );
  return asked;
}
