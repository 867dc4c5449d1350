// The files that go along with a message, while she writes it and once it was said.

import { useRef } from "preact/hooks";
import { bytes } from "../parts/bytes";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import type { Attachment } from "../protocol";
import { addressOf, enclose, enclosedIn, type Enclosed, isPicture, takeOut, tryAgain } from "./attachments";

export function Enclosures({ conversation }: { conversation: string | null }) {
  const list = enclosedIn(conversation);
  if (!list.length) return null;
  return (
    <ul class="enclosures" aria-label="Goes along with your message">
      {list.map((one) => (
        <OneEnclosure key={one.key} one={one} conversation={conversation} />
      ))}
    </ul>
  );
}

function OneEnclosure({ one, conversation }: { one: Enclosed; conversation: string | null }) {
  return (
    <li class={one.fault ? "failed" : ""}>
      {one.picture ? <img src={one.picture} alt="" /> : <Icon name="file" />}
      <div>
        <span dir="auto">{one.name}</span>
        {one.fault ? (
          <small role="alert">{one.fault}</small>
        ) : one.isWaiting ? (
          <small role="status">Waits for the connection …</small>
        ) : one.id ? (
          <small>{bytes(one.size)}</small>
        ) : (
          <progress max={1} value={one.share} aria-label={`Uploading ${one.name}`} />
        )}
      </div>
      {one.fault && (
        <button
          type="button"
          class="mini"
          aria-label={`Try ${one.name} again`}
          onClick={() => tryAgain(conversation, one.key)}
        >
          <Icon name="retry" />
        </button>
      )}
      <button
        type="button"
        class="mini"
        aria-label={`Leave out ${one.name}`}
        onClick={() => takeOut(conversation, one.key)}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}

/** What a message carried. */
export function Attachments({ list }: { list: readonly Attachment[] | undefined }) {
  if (!list?.length) return null;
  return (
    <ul class="attachments" aria-label="Attachments">
      {list.map((one) => (
        <li key={one.id}>
          {isPicture(one) ? (
            <a href={addressOf(one)} target="_blank" rel="noopener">
              <img src={addressOf(one)} alt={one.name} loading="lazy" />
            </a>
          ) : (
            <a href={addressOf(one)} download={one.name} class="attachment">
              <Icon name="file" />
              <span dir="auto">{one.name}</span>
              <small>{bytes(one.size)}</small>
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

/** Files, the camera of a phone, and what one may type. */
export function AddMenu({ conversation, type }: { conversation: string | null; type: (sign: "@" | "/") => void }) {
  const files = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const chosen = (event: { currentTarget: HTMLInputElement }) => {
    enclose(conversation, event.currentTarget.files ?? []);
    event.currentTarget.value = "";
  };
  const hasCamera = matchMedia("(pointer: coarse)").matches;
  return (
    <>
      <input ref={files} type="file" multiple hidden aria-label="Files for Claude" onChange={chosen} />
      <input
        ref={camera}
        type="file"
        accept="image/*"
        capture="environment"
        hidden
        aria-label="Photo"
        onChange={chosen}
      />
      <Menu
        label="Add files and more"
        icon="plus"
        choices={[
          { label: "Add files or pictures", icon: "clip", run: () => files.current?.click() },
          ...(hasCamera
            ? [{ label: "Take a photo", icon: "camera" as const, run: () => camera.current?.click() }]
            : []),
          { label: "Mention a file of the workspace", icon: "file", run: () => type("@") },
          { label: "Use a command", icon: "terminal", run: () => type("/") },
        ]}
      />
    </>
  );
}
