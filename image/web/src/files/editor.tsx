// Text that can be changed. Saving never loses what another wrote meanwhile: she is shown that it changed, and chooses.

import { useEffect, useRef, useState } from "preact/hooks";
import { CodeBlock } from "../chat/code";
import { ask, Refusal } from "../http";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { address, beside, type Entry, languageOf, nameOf, type Text } from "./entry";
import { refresh } from "./folder";
import { Unshown, Wait, words } from "./preview";
import { unsaved } from "./unsaved";

type Conflict = { current: Text | null };

export function Editor({ entry }: { entry: Entry }) {
  const [file, setFile] = useState<Text | null>(null);
  const [fault, setFault] = useState("");
  const load = () =>
    ask<Text>("GET", address("text", entry.path)).then(
      (found) => {
        setFault("");
        setFile(found);
      },
      (error: unknown) => setFault(words(error)),
    );
  useEffect(() => {
    if (!unsaved.value) void load();
  }, [entry.path, entry.version]);
  if (fault) return <Unshown entry={entry} why={fault} />;
  if (!file) return <Wait />;
  if (file.text === null) return <Unshown entry={entry} why="This is no text, so there is nothing to show here." />;
  if (file.state === "too_large")
    return (
      <div class="document">
        <p class="settings-text">Only its beginning is shown: it is too large to be edited here.</p>
        <CodeBlock text={file.text} language="" done />
      </div>
    );
  return <Area key={entry.path} file={file} reload={load} />;
}

function Area({ file, reload }: { file: Text; reload: () => Promise<void> }) {
  const [text, setText] = useState(file.text ?? "");
  const [base, setBase] = useState(file);
  const [conflict, setConflict] = useState<Conflict | null>(null);
  const [isSaving, setSaving] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const [isReading, setReading] = useState(languageOf(file.path) !== "");
  const isChanged = text !== (base.text ?? "");

  useEffect(() => {
    // What was written by another shows at once, as long as nothing of hers would be lost.
    if (isChanged || file.etag === base.etag) return;
    setBase(file);
    setText(file.text ?? "");
  }, [file]);
  useEffect(() => {
    unsaved.value = isChanged ? nameOf(file.path) : "";
  }, [isChanged]);
  useEffect(
    () => () => {
      unsaved.value = "";
    },
    [],
  );

  const saved = (now: Text) => {
    setBase({ ...now, text });
    setConflict(null);
    void refresh();
  };
  const save = async (etag: string | null, path = file.path, encoding = base.encoding) => {
    setSaving(true);
    try {
      const body = { path, text, etag, encoding, eol: base.eol === "crlf" ? "crlf" : "lf" };
      saved(await ask<Text>("PUT", "/api/files/text", body));
      toast.value = { text: path === file.path ? "Saved." : `Saved as “${nameOf(path)}”.` };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "not_encodable") return await save(etag, path, "utf-8");
      if (error.code === "changed") {
        const now = await ask<Text>("GET", address("text", file.path)).catch(() => null);
        setConflict({ current: now });
      } else toast.value = { text: error.message };
    } finally {
      setSaving(false);
    }
  };
  const typed = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (isChanged) void save(base.etag);
    }
  };

  return (
    <div class="editor">
      {conflict && (
        <Changed
          conflict={conflict}
          mine={() => void save(conflict.current?.etag ?? null)}
          theirs={async () => {
            const now = conflict.current;
            setConflict(null);
            if (!now) return;
            setBase(now);
            setText(now.text ?? "");
            await reload();
          }}
          both={() => void save(null, beside(file.path))}
        />
      )}
      {isReading && !isChanged ? (
        <div class="reading">
          <CodeBlock text={text} language={languageOf(file.path)} done />
        </div>
      ) : (
        <textarea
          ref={area}
          aria-label={`Text of ${nameOf(file.path)}`}
          value={text}
          readOnly={!file.writable}
          spellcheck={languageOf(file.path) === ""}
          dir="auto"
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={typed}
        />
      )}
      <footer>
        <span class="grow" role="status">
          {isChanged ? "Not saved yet" : file.writable ? "" : "This file can only be read"}
        </span>
        {isReading && !isChanged ? (
          file.writable && (
            <button
              type="button"
              onClick={() => {
                setReading(false);
                requestAnimationFrame(() => area.current?.focus());
              }}
            >
              <Icon name="pencil" /> Edit
            </button>
          )
        ) : (
          <>
            {isChanged && (
              <button type="button" class="plain" onClick={() => setText(base.text ?? "")}>
                Discard changes
              </button>
            )}
            <button
              type="button"
              class="primary"
              disabled={!isChanged || isSaving}
              onClick={() => void save(base.etag)}
            >
              Save
            </button>
          </>
        )}
      </footer>
    </div>
  );
}

interface ChangedProps {
  conflict: Conflict;
  mine: () => void;
  theirs: () => void;
  both: () => void;
}

function Changed({ conflict, mine, theirs, both }: ChangedProps) {
  const [isShown, setShown] = useState(false);
  return (
    <section class="card changed" role="alert">
      <header>
        <Icon name="warning" />
        <div>
          <strong>
            {conflict.current ? "Somebody changed this file meanwhile." : "This file was deleted meanwhile."}
          </strong>
          <p>Nothing is lost: your text is still here.</p>
        </div>
      </header>
      {isShown && conflict.current && <CodeBlock text={conflict.current.text ?? ""} language="" done />}
      <div class="actions">
        <button type="button" class="primary" onClick={both}>
          Save mine as a copy
        </button>
        <button type="button" onClick={mine}>
          {conflict.current ? "Replace it with mine" : "Save mine"}
        </button>
        {conflict.current && (
          <>
            <button type="button" onClick={theirs}>
              Take the other
            </button>
            <button type="button" class="plain" aria-expanded={isShown} onClick={() => setShown(!isShown)}>
              {isShown ? "Hide the other" : "Show the other"}
            </button>
          </>
        )}
      </div>
    </section>
  );
}
