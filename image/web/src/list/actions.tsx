// What can be done with a conversation, from the list and from the bar above it.

import { exportMarkdown, fork, remove } from "../conversations";
import { Menu } from "../parts/menu";
import type { Conversation, Spent } from "../protocol";

export function ConversationMenu({ conversation, rename }: { conversation: Conversation; rename: () => void }) {
  const { id, title, usage } = conversation;
  return (
    <Menu
      label={`More about ${title || "this conversation"}`}
      note={usage?.turns ? spent(usage) : ""}
      choices={[
        { label: "Rename", icon: "pencil", run: rename },
        { label: "Continue in a copy", icon: "fork", run: () => void fork(id) },
        { label: "Save as Markdown", icon: "download", run: () => exportMarkdown(id) },
        { label: "Delete", icon: "bin", isDangerous: true, run: () => void remove(conversation) },
      ]}
    />
  );
}

/** "3 questions · 1,540 tokens · $0.12". */
export function spent({ turns, input_tokens, output_tokens, cost_usd }: Spent): string {
  const tokens = input_tokens + output_tokens;
  return [
    turns === 1 ? "1 question" : `${turns} questions`,
    tokens ? `${tokens.toLocaleString("en")} tokens` : "",
    cost_usd ? (cost_usd < 0.01 ? "under $0.01" : `$${cost_usd.toFixed(2)}`) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}
