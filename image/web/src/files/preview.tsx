// One file, shown as what it is.

import { useEffect, useState } from "preact/hooks";
import { Markdown } from "../chat/markdown";
import { ask } from "../http";
import { ago } from "../parts/ago";
import { bytes } from "../parts/bytes";
import { Icon } from "../parts/icon";
import { toFiles } from "../place";
import { EntryMenu } from "./menu";
import { downloadOf, mention } from "./actions";
import { Editor } from "./editor";
import { editOf } from "./edits";
import { address, type Entry, hasSource, lookOf, parentOf, type Text } from "./entry";
import { Sheet } from "./sheet";
import { Unshown, Wait, words } from "./unshown";

export function Preview({ entry }: { entry: Entry }) {
  const [isSource, setSource] = useState(false);
  useEffect(() => setSource(false), [entry.path]);
  return (
    <article class="preview" aria-label={entry.name}>
      <header>
        <button type="button" class="mini" aria-label="Close the file" onClick={() => toFiles(parentOf(entry.path))}>
          <Icon name="back" />
        </button>
        <div class="preview-title">
          <h2 dir="auto">{entry.name}</h2>
          <small>
            {[entry.size === null ? "" : bytes(entry.size), ago(entry.modified_at, new Date())]
              .filter(Boolean)
              .join(" · ")}
          </small>
        </div>
        {hasSource(entry.name) && (
          <button type="button" class="plain" aria-pressed={isSource} onClick={() => setSource(!isSource)}>
            {isSource ? "Show it" : "Edit the text"}
          </button>
        )}
        <button type="button" class="plain only-broad" onClick={() => mention(entry)}>
          Use in chat
        </button>
        <a class="button mini" href={downloadOf(entry)} download aria-label="Download" title="Download">
          <Icon name="download" />
        </a>
        <EntryMenu entry={entry} />
      </header>
      {hasSource(entry.name) && !isSource && editOf(entry.path) && (
        <p class="unsaved-note" role="status">
          <span>What you changed is not saved yet.</span>
          <button type="button" class="plain" onClick={() => setSource(true)}>
            Go on with it
          </button>
        </p>
      )}
      <Body key={`${entry.path} ${isSource}`} entry={entry} isSource={isSource} />
    </article>
  );
}

function Body({ entry, isSource }: { entry: Entry; isSource: boolean }) {
  const view = address("view", entry.path, { v: entry.version });
  if (entry.kind !== "file") return <Unshown entry={entry} why="This leads out of your workspace, or nowhere." />;
  if (isSource) return <Editor entry={entry} />;
  switch (lookOf(entry.name)) {
    case "picture":
      return <Picture entry={entry} address={view} />;
    case "pdf":
      return <iframe class="frame-view" title={entry.name} src={view} />;
    case "page":
      return (
        <iframe
          class="frame-view paper"
          title={entry.name}
          sandbox="allow-scripts"
          src={address("page", entry.path, { v: entry.version })}
        />
      );
    case "audio":
      return <audio controls src={view} aria-label={entry.name} />;
    case "video":
      return <video controls src={view} aria-label={entry.name} />;
    case "table":
      return <Sheet entry={entry} />;
    case "markdown":
      return <Document entry={entry} />;
    default:
      return <Editor entry={entry} />;
  }
}

function Picture({ entry, address: where }: { entry: Entry; address: string }) {
  const [isBroken, setBroken] = useState(false);
  if (isBroken) return <Unshown entry={entry} why="This picture can not be shown." />;
  return (
    <div class="picture-view">
      <img src={where} alt={entry.name} onError={() => setBroken(true)} />
    </div>
  );
}

function Document({ entry }: { entry: Entry }) {
  const [text, setText] = useState<Text | null>(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    ask<Text>("GET", address("text", entry.path)).then(setText, (error: unknown) => setFault(words(error)));
  }, [entry.path, entry.version]);
  if (fault) return <Unshown entry={entry} why={fault} />;
  if (!text) return <Wait />;
  if (text.text === null) return <Unshown entry={entry} why="This is no text." />;
  return (
    <div class="document">
      <Markdown text={editOf(entry.path)?.text ?? text.text} folder={parentOf(entry.path)} />
      {text.state === "too_large" && <p class="settings-text">Only its beginning is shown: it is very large.</p>}
    </div>
  );
}
