// What she has begun to write, for each conversation.

import { Shelf } from "../shelf";
import { device } from "../storage";

const MOST = 50;

const drafts = new Shelf<string>("draft", MOST);
const keyOf = (conversation: string | null) => conversation ?? "new";

export const draftOf = (conversation: string | null) => drafts.get(keyOf(conversation)) ?? "";

export function keepDraft(conversation: string | null, text: string): void {
  if (text) drafts.put(keyOf(conversation), text);
  else drafts.take(keyOf(conversation));
}

// An earlier page kept them all as one.
for (const [key, text] of Object.entries(device.get<Record<string, string>>("drafts", {}))) drafts.put(key, text);
device.set("drafts", undefined);
