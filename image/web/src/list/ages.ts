// The list of conversations, cut by how long ago each was.

import type { Conversation } from "../protocol";

const DAY_MS = 24 * 3600_000;

export interface Age {
  age: string;
  members: Conversation[];
}

export function byAge(conversations: readonly Conversation[], now: Date): Age[] {
  const result: Age[] = [];
  for (const conversation of conversations) {
    const age = ageOf(new Date(conversation.updated_at), now);
    const last = result.at(-1);
    if (last?.age === age) last.members.push(conversation);
    else result.push({ age, members: [conversation] });
  }
  return result;
}

function ageOf(time: Date, now: Date): string {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (time.getTime() >= midnight) return "Today";
  if (time.getTime() >= midnight - DAY_MS) return "Yesterday";
  if (time.getTime() >= midnight - 7 * DAY_MS) return "Last 7 days";
  if (time.getTime() >= midnight - 30 * DAY_MS) return "Last 30 days";
  return time.toLocaleDateString("en", { month: "long", year: "numeric" });
}
