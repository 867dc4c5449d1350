// What was deleted in the last thirty days, and the way back.

import { useEffect, useState } from "preact/hooks";
import { ask, attempt } from "../http";
import { live } from "../live";
import { ago } from "../parts/ago";
import { bytes } from "../parts/bytes";
import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { restore } from "./actions";
import { parentOf, type Trashed } from "./entry";
import { iconOf } from "./list";

let changed: () => void = () => undefined;
live.on("trash_changed", () => changed());
live.onOpen(() => changed());

export function Trash({ back }: { back: () => void }) {
  const [gone, setGone] = useState<readonly Trashed[] | null>(null);
  const look = () =>
    void attempt(ask<{ entries: Trashed[] }>("GET", "/api/trash")).then((now) => now && setGone(now.entries));
  useEffect(() => {
    look();
    changed = look;
    return () => {
      changed = () => undefined;
    };
  }, []);
  const empty = async () => {
    const text = "What is in the trash is gone for good then.";
    if ((await askHer({ title: "Empty the trash?", text, action: "Empty it", isDangerous: true })) === null) return;
    await attempt(ask<null>("DELETE", "/api/trash"));
    look();
  };
  return (
    <section class="files-list" aria-labelledby="trash-title">
      <header class="files-bar">
        <button type="button" class="mini" aria-label="Back to the files" onClick={back}>
          <Icon name="back" />
        </button>
        <h2 id="trash-title">Trash</h2>
        <span class="grow" />
        {gone && gone.length > 0 && (
          <button type="button" onClick={() => void empty()}>
            Empty the trash
          </button>
        )}
      </header>
      {gone?.length === 0 && (
        <div class="nothing">
          <Icon name="bin" />
          <p>The trash is empty. What you delete is kept here for 30 days.</p>
        </div>
      )}
      <ul class="entries">
        {gone?.map((one) => (
          <li key={one.id} class="entry">
            <span class="entry-name">
              <Icon name={iconOf(one)} />
              <span class="entry-words">
                <span class="entry-label" dir="auto">
                  {one.name}
                </span>
                <small dir="auto">
                  from {parentOf(one.path) || "Files"}, {ago(one.deleted_at, new Date())}
                </small>
              </span>
            </span>
            <small class="entry-size">{one.size === null ? "" : bytes(one.size)}</small>
            <button
              type="button"
              class="plain"
              aria-label={`Put ${one.name} back`}
              onClick={() => void restore(one).then(look)}
            >
              <Icon name="retry" /> Put back
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
