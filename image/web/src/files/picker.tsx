// Where to? One folder at a time, in a dialog.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, attempt } from "../http";
import { Icon } from "../parts/icon";
import { type Entry, type Listing, nameOf, parentOf } from "./entry";

interface Asked {
  moved: readonly Entry[];
  settle: (folder: string | null) => void;
}

export const asked = signal<Asked | null>(null);

/** The folder that she chose for them, which are all in one; null where she changed her mind. */
export function pickFolder(moved: readonly Entry[]): Promise<string | null> {
  return new Promise((settle) => {
    asked.value = { moved, settle };
  });
}

export function Picker() {
  return asked.value && <Choosing {...asked.value} />;
}

function Choosing({ moved, settle }: Asked) {
  const box = useRef<HTMLDialogElement>(null);
  const from = parentOf(moved[0]?.path ?? "");
  const [path, setPath] = useState(from);
  const [folders, setFolders] = useState<readonly Entry[] | null>(null);
  useEffect(() => box.current?.showModal(), []);
  useEffect(() => {
    setFolders(null);
    void attempt(ask<Listing>("GET", `/api/files?${new URLSearchParams({ path })}`)).then((found) =>
      setFolders(
        found?.entries.filter((one) => one.kind === "folder" && !moved.some(({ path: own }) => own === one.path)) ?? [],
      ),
    );
  }, [path]);
  const close = (folder: string | null) => {
    asked.value = null;
    settle(folder);
  };
  return (
    <dialog class="dialog picker" ref={box} aria-labelledby="picker-title" onClose={() => close(null)}>
      <h2 id="picker-title">Move {moved.length === 1 ? <bdi>“{moved[0]?.name}”</bdi> : `${moved.length} things`} to</h2>
      <p class="picker-place" dir="auto">
        <Icon name="folder" /> {nameOf(path) || "Files"}
      </p>
      <ul>
        {path && (
          <li>
            <button type="button" onClick={() => setPath(parentOf(path))}>
              <Icon name="back" /> {nameOf(parentOf(path)) || "Files"}
            </button>
          </li>
        )}
        {folders?.map((one) => (
          <li key={one.path}>
            <button type="button" onClick={() => setPath(one.path)}>
              <Icon name="folder" /> <bdi>{one.name}</bdi>
            </button>
          </li>
        ))}
        {folders?.length === 0 && <li class="picker-none">No folders in here</li>}
      </ul>
      <div class="actions end">
        <button type="button" class="plain" onClick={() => close(null)}>
          Cancel
        </button>
        <button type="button" class="primary" disabled={path === from} onClick={() => close(path)}>
          Move here
        </button>
      </div>
    </dialog>
  );
}
