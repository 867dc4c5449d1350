// What she has begun to write, for each conversation.

import { signal } from "@preact/signals";
import { device } from "../storage";

const MOST = 50;

type Drafts = Readonly<Record<string, string>>;
const drafts = signal<Drafts>(device.get<Drafts>("drafts", {}));
const keyOf = (conversation: string | null) => conversation ?? "new";

export const draftOf = (conversation: string | null) => drafts.value[keyOf(conversation)] ?? "";

export function keepDraft(conversation: string | null, text: string): void {
  const { [keyOf(conversation)]: _, ...others } = drafts.value;
  const kept = Object.entries(others).slice(-MOST);
  drafts.value = Object.fromEntries(text ? [...kept, [keyOf(conversation), text]] : kept);
  device.set("drafts", drafts.value);
}
