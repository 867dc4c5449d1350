// The conversations that were deleted in the last thirty days, and the way back.

import { useEffect, useState } from "preact/hooks";
import { restore } from "../conversations";
import { ask, attempt } from "../http";
import { live } from "../live";
import { ago } from "../parts/ago";
import { Icon } from "../parts/icon";
import type { Conversation } from "../protocol";
import { Group } from "./controls";

let changed: () => void = () => undefined;
live.on("conversation_gone", () => changed());
live.onOpen(() => changed());

export function Deleted() {
  const [gone, setGone] = useState<readonly Conversation[] | null>(null);
  const look = async () => {
    const now = await attempt(ask<{ conversations: Conversation[] }>("GET", "/api/conversations/deleted"));
    if (now) setGone(now.conversations);
  };
  useEffect(() => {
    void look();
    changed = () => void look();
    return () => {
      changed = () => undefined;
    };
  }, []);
  return (
    <Group>
      <div class="field">
        <div class="field-words">
          <h3 id="deleted-title">Recently deleted conversations</h3>
          <p>{gone?.length === 0 ? "There are none. " : ""}What you delete is kept for 30 days.</p>
        </div>
      </div>
      {gone && gone.length > 0 && (
        <ul class="devices deleted" aria-labelledby="deleted-title">
          {gone.map((one) => (
            <li key={one.id} class="field">
              <div class="field-words">
                <span dir="auto">{one.title || "New conversation"}</span>
                <p>Last used {ago(one.updated_at, new Date())}</p>
              </div>
              <button
                type="button"
                class="plain"
                aria-label={`Put ${one.title || "the conversation"} back`}
                onClick={() => void restore(one.id).then(look)}
              >
                <Icon name="retry" /> Put back
              </button>
            </li>
          ))}
        </ul>
      )}
    </Group>
  );
}
