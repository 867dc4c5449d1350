// What she wrote and the server has not confirmed yet. It is kept, and sent again after each reconnect: the server
// takes a message only once.

import { effect, signal } from "@preact/signals";
import { live } from "./live";
import type { Attachment, Said, ToServer } from "./protocol";
import { tab } from "./storage";

export interface Unsent extends Omit<Said, "attachments"> {
  conversation: string;
  message_id: string;
  attachments?: readonly Attachment[];
}

export const unsent = signal<readonly Unsent[]>(tab.get<readonly Unsent[]>("unsent", []));

/** What is left once these items are in the conversation. */
export function withoutArrived(list: readonly Unsent[], conversation: string, arrived: ReadonlySet<string>) {
  return list.filter((one) => one.conversation !== conversation || !arrived.has(one.message_id));
}

function frame({ attachments, ...message }: Unsent): ToServer {
  const ids = attachments?.map((one) => one.id) ?? [];
  return { type: "send", ...message, ...(ids.length ? { attachments: ids } : {}) };
}

/** Sends it now, or as soon as there is a connection. */
export function post(message: Unsent): void {
  unsent.value = [...unsent.value, message];
  if (!live.send(frame(message))) live.wake();
}

export function confirm(conversation: string, arrived: ReadonlySet<string>): void {
  const left = withoutArrived(unsent.value, conversation, arrived);
  if (left.length !== unsent.value.length) unsent.value = left;
}

/** Takes back what the server refuses, and gives its words and what went along with them. */
export function takeBack(conversation: string): { text: string; attachments: Attachment[] } {
  const refused = unsent.value.filter((one) => one.conversation === conversation);
  unsent.value = unsent.value.filter((one) => one.conversation !== conversation);
  return {
    text: refused.map((one) => one.text).join("\n\n"),
    attachments: refused.flatMap((one) => one.attachments ?? []),
  };
}

export function postAgain(): void {
  for (const message of unsent.value) live.send(frame(message));
}

effect(() => tab.set("unsent", unsent.value));
