// Text that can be changed. What she types is kept from then on, wherever she goes. Saving never loses what another wrote
// meanwhile: she is shown that it changed, and chooses.

import { useEffect, useRef, useState } from "preact/hooks";
import { persistently } from "../backoff";
import { CodeBlock } from "../chat/code";
import { ask, Refusal } from "../http";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { place, toFiles } from "../place";
import type { Code } from "./code";
import { address, beside, type Entry, languageOf, nameOf, type Text } from "./entry";
import { dropEdit, type Edit, editOf, keepEdit, unsaved } from "./edits";
import { refresh } from "./folder";
import { Unshown, Wait, words } from "./unshown";

const KEEP_AFTER_MS = 300;

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
    if (unsaved.value !== entry.path) void load();
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
  const [kept] = useState(() => editOf(file.path));
  // What she began from counts: if the file is another one by now, saving has to find that out.
  const [base, setBase] = useState(kept ? { ...file, etag: kept.etag, encoding: kept.encoding } : file);
  const [conflict, setConflict] = useState<Conflict | null>(
    kept && kept.etag !== file.etag && kept.text !== file.text ? { current: file } : null,
  );
  const [isSaving, setSaving] = useState(false);
  const [isChanged, setChanged] = useState(kept !== undefined && kept.text !== file.text);
  const [fault, setFault] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const code = useRef<Code | null>(null);
  const saveNow = useRef<() => void>(() => undefined);
  const keeper = useKeeper(code, base, kept);

  useEffect(() => {
    let isWanted = true;
    const options = {
      text: kept?.text ?? file.text ?? "",
      label: `Text of ${nameOf(file.path)}`,
      language: languageOf(file.path),
      isWritable: file.writable,
      changed: (now: boolean) => {
        setChanged(now);
        keeper.soon();
      },
      save: () => saveNow.current(),
    };
    persistently(() => import("./code")).then(
      ({ Code }) => {
        if (!isWanted || !box.current) return;
        code.current = new Code(box.current, options);
        code.current.rebase(file.text ?? "");
      },
      () => setFault(true),
    );
    return () => {
      isWanted = false;
      keeper.flush();
      tellThatItIsKept(file.path);
      code.current?.dispose();
    };
  }, []);
  const take = (now: Text) => {
    keeper.drop();
    setBase(now);
    code.current?.rebase(now.text ?? "");
    code.current?.replace(now.text ?? "");
    setChanged(false);
    setConflict(null);
  };
  useEffect(() => {
    // What was written by another shows at once, as long as nothing of hers would be lost.
    if (!isChanged && file.etag !== base.etag) take(file);
  }, [file]);
  useEffect(() => {
    unsaved.value = isChanged ? file.path : "";
  }, [isChanged]);
  useEffect(
    () => () => {
      unsaved.value = "";
    },
    [],
  );

  const saved = (now: Text, text: string) => {
    keeper.drop();
    setBase({ ...now, text, path: file.path });
    code.current?.rebase(text);
    setChanged(code.current?.text !== text);
    keeper.soon();
    setConflict(null);
    void refresh();
  };
  const save = async (etag: string | null, path = file.path, encoding = base.encoding) => {
    const text = code.current?.text;
    if (text === undefined) return;
    keeper.flush();
    setSaving(true);
    try {
      const body = { path, text, etag, encoding, eol: base.eol === "crlf" ? "crlf" : "lf" };
      saved(await ask<Text>("PUT", "/api/files/text", body), text);
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
  saveNow.current = () => isChanged && void save(base.etag);

  if (fault)
    return (
      <Unshown
        entry={{ kind: "file", path: file.path, name: nameOf(file.path) }}
        why="The editor could not be loaded."
      />
    );
  return (
    <div class="editor">
      {conflict && (
        <Changed
          conflict={conflict}
          mine={() => void save(conflict.current?.etag ?? null)}
          theirs={async () => {
            if (!conflict.current) return;
            take(conflict.current);
            await reload();
          }}
          both={() => void save(null, beside(file.path))}
        />
      )}
      <div class="editor-box" ref={box} />
      <footer>
        <button
          type="button"
          class="mini"
          aria-label="Search in this file"
          title="Search in this file"
          onClick={() => code.current?.search()}
        >
          <Icon name="search" />
        </button>
        <span class="grow" role="status">
          {isChanged ? "Not saved yet" : file.writable ? "" : "This file can only be read"}
        </span>
        {isChanged && (
          <button type="button" class="plain" onClick={() => take(conflict?.current ?? base)}>
            Discard changes
          </button>
        )}
        <button type="button" class="primary" disabled={!isChanged || isSaving} onClick={() => void save(base.etag)}>
          Save
        </button>
      </footer>
    </div>
  );
}

/** Keeps what she types, soon after she has paused and at the latest when the page goes away. */
function useKeeper(code: { current: Code | null }, base: Text, kept: Edit | undefined) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const latest = useRef(base);
  latest.current = base;
  /** What this editor has put there: another tab may have something else in its place. */
  const mine = useRef(kept?.text);
  const drop = () => dropEdit(base.path, mine.current);
  const flush = () => {
    if (timer.current === undefined || !code.current) return;
    clearTimeout(timer.current);
    timer.current = undefined;
    if (!code.current.isChanged) return drop();
    const { path, etag, encoding, eol } = latest.current;
    mine.current = code.current.text;
    keepEdit(path, { text: mine.current, etag, encoding, eol });
  };
  const soon = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(flush, KEEP_AFTER_MS);
  };
  useEffect(() => {
    const moments = [
      [document, "visibilitychange"],
      [window, "pagehide"],
    ] as const;
    for (const [where, moment] of moments) where.addEventListener(moment, flush);
    return () => {
      for (const [where, moment] of moments) where.removeEventListener(moment, flush);
    };
  }, []);
  return { soon, flush, drop };
}

function tellThatItIsKept(path: string): void {
  const isElsewhere = place.value.page !== "files" || place.value.path !== path;
  if (!editOf(path) || !isElsewhere) return;
  toast.value = {
    text: `“${nameOf(path)}” is not saved yet. What you changed is kept.`,
    action: { label: "Back to it", run: () => toFiles(path) },
  };
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
