// The workspace's files: folders to walk through, files to look at.

import "../style/files.css";
import { useRef, useState } from "preact/hooks";
import { ago } from "../parts/ago";
import { bytes } from "../parts/bytes";
import { askHer } from "../parts/dialog";
import { Icon, type IconName } from "../parts/icon";
import { Menu } from "../parts/menu";
import { linkTo, place, toFiles } from "../place";
import type { Entry } from "../protocol";
import { File } from "./file";
import { again, arriving, fault, inside, makeFolder, opened, parentOf, query, remove, rename, send } from "./folder";

export default function Files() {
  const path = place.value.page === "files" ? place.value.path : "";
  const [isOver, setOver] = useState(false);
  const { entry, entries } = opened.value ?? {};
  const isFolder = entry?.kind === "folder";
  return (
    <main
      class={`files ${isOver ? "over" : ""}`}
      id="main"
      onDragOver={(event) => {
        if (!isFolder || !event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => event.target === event.currentTarget && setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (!isFolder) return;
        event.preventDefault();
        void send(path, event.dataTransfer?.files ?? []);
      }}
    >
      <div class="files-page">
        <header>
          <Trail path={path} />
          {isFolder && <FolderTools path={path} />}
          {entry && !isFolder && <FileTools entry={entry} />}
        </header>
        {fault.value && <Fault words={fault.value} />}
        <Arriving />
        {entry && entries && isFolder && <Listing entries={entries} />}
        {entry && !isFolder && <File key={entry.path} entry={entry} />}
      </div>
    </main>
  );
}

function Trail({ path }: { path: string }) {
  const names = path ? path.split("/") : [];
  return (
    <nav class="trail" aria-label="Where you are">
      <a {...linkTo({ page: "files", path: "" })} aria-current={names.length ? undefined : "page"}>
        Workspace
      </a>
      {names.map((name, index) => (
        <a
          key={index}
          {...linkTo({ page: "files", path: names.slice(0, index + 1).join("/") })}
          aria-current={index === names.length - 1 ? "page" : undefined}
          dir="auto"
        >
          {name}
        </a>
      ))}
    </nav>
  );
}

function FolderTools({ path }: { path: string }) {
  const files = useRef<HTMLInputElement>(null);
  const newFolder = async () => {
    const name = await askForName("New folder", "Make it", "");
    if (name) await makeFolder(inside(path, name));
  };
  return (
    <div class="actions">
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label="Files to put here"
        onChange={(event) => {
          const chosen = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = "";
          void send(path, chosen);
        }}
      />
      <button type="button" onClick={() => files.current?.click()}>
        <Icon name="upload" /> Upload
      </button>
      <button type="button" onClick={() => void newFolder()}>
        <Icon name="folder" /> New folder
      </button>
      <a class="button" href={`/api/files/zip?${query(path)}`} download>
        <Icon name="download" /> Download all
      </a>
    </div>
  );
}

function FileTools({ entry }: { entry: Entry }) {
  const away = () => {
    toFiles(parentOf(entry.path));
    void remove(entry);
  };
  return (
    <div class="actions">
      <a class="button" href={`/api/files/download?${query(entry.path)}`} download>
        <Icon name="download" /> Download
      </a>
      <button type="button" class="plain" onClick={away}>
        <Icon name="bin" /> Delete
      </button>
    </div>
  );
}

function Fault({ words }: { words: string }) {
  return (
    <div class="card" role="alert">
      <p>{words}</p>
      <div class="actions">
        <button type="button" onClick={() => void again()}>
          Try again
        </button>
        <button type="button" class="plain" onClick={() => toFiles()}>
          To the workspace
        </button>
      </div>
    </div>
  );
}

function Arriving() {
  return (
    <>
      {Object.entries(arriving.value).map(([name, share]) => (
        <label class="progress" key={name}>
          <span dir="auto">{name}</span>
          <progress max={1} value={share} />
        </label>
      ))}
    </>
  );
}

function Listing({ entries }: { entries: readonly Entry[] }) {
  if (!entries.length) return <p class="files-empty">Nothing is here yet. Drop files here, or let Claude make some.</p>;
  return (
    <ul class="listing">
      {entries.map((entry) => (
        <Row key={entry.path} entry={entry} />
      ))}
    </ul>
  );
}

const SIGNS: Record<Entry["kind"], IconName> = { folder: "folder", file: "file", link: "external", other: "question" };

function Row({ entry }: { entry: Entry }) {
  const isOpenable = entry.kind === "folder" || entry.kind === "file";
  const words = (
    <>
      <Icon name={SIGNS[entry.kind]} />
      <span class="grow" dir="auto">
        {entry.name}
      </span>
    </>
  );
  const newName = async () => {
    const name = await askForName("Rename", "Rename", entry.name);
    if (name && name !== entry.name) await rename(entry.path, name);
  };
  const download = entry.kind === "folder" ? "zip" : "download";
  return (
    <li>
      {isOpenable ? <a {...linkTo({ page: "files", path: entry.path })}>{words}</a> : <span class="row">{words}</span>}
      <small>{entry.size === null ? "" : bytes(entry.size)}</small>
      <small class="when">{ago(entry.modified_at, new Date())}</small>
      <Menu
        label={`More about ${entry.name}`}
        choices={[
          { label: "Rename", icon: "pencil", run: () => void newName() },
          { label: "Download", icon: "download", run: () => fetchFile(`/api/files/${download}?${query(entry.path)}`) },
          { label: "Delete", icon: "bin", isDangerous: true, run: () => void remove(entry) },
        ]}
      />
    </li>
  );
}

function fetchFile(href: string): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = "";
  link.click();
}

async function askForName(title: string, action: string, value: string): Promise<string> {
  const given = await askHer({ title, text: "", action, field: "Name", value });
  return given?.trim().replaceAll("/", "∕") ?? "";
}
