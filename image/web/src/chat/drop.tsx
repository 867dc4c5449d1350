// Files that are dropped anywhere on the conversation go along with the next message.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Icon } from "../parts/icon";
import { current } from "../place";
import { enclose } from "./attachments";
import { focusComposer } from "./composer";

const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

export function DropArea({ class: name, children }: { class: string; children: ComponentChildren }) {
  const [isOver, setOver] = useState(false);
  // Each element below tells of its own entering and leaving.
  const depth = useRef(0);
  const moved = (step: number) => (event: DragEvent) => {
    if (!hasFiles(event)) return;
    depth.current = Math.max(0, depth.current + step);
    setOver(depth.current > 0);
  };
  const dropped = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current = 0;
    setOver(false);
    enclose(current.value, event.dataTransfer?.files ?? []);
    focusComposer();
  };
  return (
    <main
      class={name}
      id="main"
      onDragEnter={moved(1)}
      onDragLeave={moved(-1)}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDrop={dropped}
    >
      {children}
      {isOver && (
        <div class="drop" aria-hidden="true">
          <Icon name="clip" /> Drop it to send it along
        </div>
      )}
    </main>
  );
}
