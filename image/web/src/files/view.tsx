// The workspace's files: a list, and beside it the one that is open.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { pathOf, place, toFiles } from "../place";
import { create, putBack } from "./actions";
import { editOf } from "./edits";
import { parentOf, trail } from "./entry";
import "./files.css";
import { entries, fault, folder, follow, opened, show, showHidden, showsHidden } from "./folder";
import { dropTarget, List } from "./list";
import { Picker } from "./picker";
import { Preview } from "./preview";
import { Found, query, SearchField } from "./search";
import { SelectionBar } from "./selected";
import { isSelecting, leaveSelection, select } from "./selection";
import { Trash } from "./trash";
import { dropped, Uploads, uploadTo } from "./uploads";

export default function Files() {
  const path = place.value.page === "files" ? place.value.path : "";
  const [isTrash, setTrash] = useState(false);
  useEffect(follow, []);
  useEffect(() => {
    setTrash(false);
    void show(path);
  }, [path]);
  useEffect(() => leaveSelection, [folder.value]);
  const isOpen = opened.value !== null && !isTrash;
  return (
    <main class={`files ${isOpen ? "with-file" : ""}`} id="main">
      {isTrash ? <Trash back={() => setTrash(false)} /> : <Folder openTrash={() => setTrash(true)} />}
      {isOpen && opened.value && <Preview key={opened.value.path} entry={opened.value} />}
      <Picker />
    </main>
  );
}

function Folder({ openTrash }: { openTrash: () => void }) {
  const [isOver, setOver] = useState(false);
  const depth = useRef(0);
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const moved = (step: number) => (event: DragEvent) => {
    if (!hasFiles(event)) return;
    depth.current = Math.max(0, depth.current + step);
    setOver(depth.current > 0);
  };
  const fell = async (event: DragEvent) => {
    if (!hasFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    depth.current = 0;
    setOver(false);
    if (folder.value !== null) uploadTo(folder.value, await dropped(event.dataTransfer));
  };
  return (
    <section
      class="files-list"
      aria-label="Folder"
      onDragEnter={moved(1)}
      onDragLeave={moved(-1)}
      onDragOver={(event) => hasFiles(event) && event.preventDefault()}
      onDrop={(event) => void fell(event)}
    >
      <Bar openTrash={openTrash} />
      <Uploads />
      {query.value.trim() ? <Found /> : <Content />}
      {isOver && (
        <div class="drop" aria-hidden="true">
          <Icon name="upload" /> Drop it to put it into this folder
        </div>
      )}
    </section>
  );
}

function Content() {
  const lost = editOf(folder.value ?? "");
  if (fault.value)
    return (
      <div class="nothing" role="alert">
        <Icon name="warning" />
        <p>{fault.value}</p>
        {lost && <p>What you had changed in it, and not saved, is still here.</p>}
        {lost && (
          <button type="button" class="primary" onClick={() => void putBack(folder.value ?? "", lost)}>
            Make it a file again
          </button>
        )}
        <button type="button" onClick={() => toFiles()}>
          Show all files
        </button>
      </div>
    );
  if (folder.value === null)
    return (
      <div class="nothing" aria-busy="true">
        <span class="spinner" aria-hidden="true" />
      </div>
    );
  if (entries.value.length === 0)
    return (
      <div class="nothing">
        <Icon name="folder" />
        <p>
          {folder.value
            ? "This folder is empty. Drop files to put them here."
            : "What you and Claude make appears here. Drop files to put them into your workspace."}
        </p>
        <UploadButton to={folder.value}>
          <Icon name="upload" /> Upload files
        </UploadButton>
      </div>
    );
  return <List />;
}

function Bar({ openTrash }: { openTrash: () => void }) {
  return (
    <header class="files-bar">
      <Trail />
      {isSelecting.value ? (
        <SelectionBar />
      ) : (
        folder.value !== null && <Tools openTrash={openTrash} here={folder.value} />
      )}
    </header>
  );
}

function Tools({ openTrash, here }: { openTrash: () => void; here: string }) {
  return (
    <div class="files-tools">
      <SearchField />
      <button
        type="button"
        class="mini"
        aria-label="New folder"
        title="New folder"
        onClick={() => void create("folder")}
      >
        <Icon name="folder" />
      </button>
      <button type="button" class="mini" aria-label="New file" title="New file" onClick={() => void create("file")}>
        <Icon name="plus" />
      </button>
      <UploadButton to={here} class="mini" aria-label="Upload" title="Upload">
        <Icon name="upload" />
      </UploadButton>
      <a
        class="button mini"
        href={`/api/files/zip?${new URLSearchParams({ path: here })}`}
        download
        aria-label="Download this folder"
        title="Download this folder"
      >
        <Icon name="download" />
      </a>
      <Menu
        label="More about this folder"
        choices={[
          { label: "Select several", icon: "check", run: select },
          {
            label: showsHidden.value ? "Hide hidden files" : "Show hidden files",
            icon: "list",
            run: () => showHidden(!showsHidden.value),
          },
          { label: "Trash", icon: "bin", run: openTrash },
        ]}
      />
    </div>
  );
}

function UploadButton({ to, ...button }: { to: string } & JSX.IntrinsicElements["button"]) {
  const files = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" {...button} onClick={() => files.current?.click()} />
      <input
        ref={files}
        type="file"
        multiple
        hidden
        onChange={(event) => {
          const chosen = [...(event.currentTarget.files ?? [])].map((file) => ({ file, name: file.name }));
          event.currentTarget.value = "";
          uploadTo(to, chosen);
        }}
      />
    </>
  );
}

function Trail() {
  const here = folder.value ?? "";
  return (
    <nav class="trail" aria-label="Folders">
      {here && (
        <button type="button" class="mini only-narrow" aria-label="Up" onClick={() => toFiles(parentOf(here))}>
          <Icon name="back" />
        </button>
      )}
      <ol>
        <Step name="Files" path="" isLast={!here} />
        {trail(here).map(([name, path]) => (
          <Step key={path} name={name} path={path} isLast={path === here} />
        ))}
      </ol>
    </nav>
  );
}

function Step({ name, path, isLast }: { name: string; path: string; isLast: boolean }) {
  return (
    <li {...dropTarget(path)}>
      {path && <Icon name="chevron" />}
      <a
        href={pathOf({ page: "files", path })}
        aria-current={isLast ? "page" : undefined}
        onClick={(event) => {
          event.preventDefault();
          toFiles(path);
        }}
      >
        <bdi>{name}</bdi>
      </a>
    </li>
  );
}
