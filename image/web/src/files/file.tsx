// One file: text to read and write, pictures, documents, tables and pages to look at.

import { useEffect, useState } from "preact/hooks";
import { Markdown } from "../chat/markdown";
import { ask, Refusal } from "../http";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import type { Entry, Table, TextFile } from "../protocol";
import { again, query } from "./folder";

const SHOWN = {
  picture: /\.(png|jpe?g|gif|webp|avif|bmp|svg|ico)$/i,
  document: /\.pdf$/i,
  film: /\.(mp4|webm|mov|ogv)$/i,
  sound: /\.(mp3|wav|ogg|m4a|flac)$/i,
  table: /\.(csv|tsv|xlsx|xlsm|xlsb|xls|ods)$/i,
  page: /\.html?$/i,
} as const;

export function File({ entry }: { entry: Entry }) {
  const address = `/api/files/view?${query(entry.path)}&v=${encodeURIComponent(entry.version)}`;
  const is = (kind: keyof typeof SHOWN) => SHOWN[kind].test(entry.name);
  if (is("picture")) return <img class="picture" src={address} alt={entry.name} />;
  if (is("document")) return <iframe class="sheet-frame" src={address} title={entry.name} />;
  if (is("film")) return <video class="picture" src={address} controls aria-label={entry.name} />;
  if (is("sound")) return <audio src={address} controls aria-label={entry.name} />;
  if (is("table")) return <TableView entry={entry} />;
  return <TextView entry={entry} />;
}

function TextView({ entry }: { entry: Entry }) {
  const [file, setFile] = useState<TextFile | null>(null);
  const [fault, setFault] = useState("");
  const [isRaw, setRaw] = useState(false);
  useEffect(() => {
    ask<TextFile>("GET", `/api/files/text?${query(entry.path)}`).then(setFile, (error: Error) =>
      setFault(error.message),
    );
  }, [entry.version]);
  if (fault) return <p role="alert">{fault}</p>;
  if (!file) return <p aria-busy="true">Reading …</p>;
  if (file.state === "binary") return <p>This kind of file cannot be shown here. You can download it.</p>;
  const hasLook = /\.(md|markdown|html?)$/i.test(entry.name);
  return (
    <>
      {hasLook && (
        <div class="actions">
          <button type="button" aria-pressed={isRaw} onClick={() => setRaw(!isRaw)}>
            <Icon name="pencil" /> {isRaw ? "Show it" : "Edit it"}
          </button>
        </div>
      )}
      {hasLook && !isRaw ? <Look entry={entry} text={file.text ?? ""} /> : <Editor file={file} />}
    </>
  );
}

function Look({ entry, text }: { entry: Entry; text: string }) {
  if (!SHOWN.page.test(entry.name)) return <Markdown text={text} />;
  const address = `/api/files/page?${query(entry.path)}&v=${encodeURIComponent(entry.version)}`;
  return <iframe class="sheet-frame" src={address} title={entry.name} sandbox="allow-scripts" />;
}

/** Saves only over what was read: where somebody wrote meanwhile, neither side's words are lost. */
function Editor({ file }: { file: TextFile }) {
  const [base, setBase] = useState(file);
  const [text, setText] = useState(file.text ?? "");
  const [isBusy, setBusy] = useState(false);
  const isChanged = text !== (base.text ?? "");
  const isBehind = file.etag !== base.etag;
  const canWrite = base.writable && base.state === "text";
  const take = (next: TextFile) => {
    setBase(next);
    setText(next.text ?? "");
  };
  useEffect(() => {
    if (isBehind && !isChanged) take(file);
  }, [file]);
  const save = async () => {
    setBusy(true);
    try {
      const saved = await ask<TextFile>("PUT", "/api/files/text", { path: base.path, text, etag: base.etag });
      setBase({ ...base, ...saved, text });
      toast.value = { text: "Saved" };
      await again();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      toast.value = { text: error.message };
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      {isBehind && isChanged && <p role="status">Somebody has changed this file while you wrote.</p>}
      {base.state === "too_large" && <p>This file is large: here is how it begins. Download it to see all.</p>}
      <textarea
        aria-label="What the file holds"
        dir="auto"
        spellcheck={false}
        readOnly={!canWrite}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          if (isChanged && canWrite) void save();
        }}
      />
      {canWrite && (
        <div class="actions">
          <button type="submit" class="primary" disabled={!isChanged || isBusy}>
            Save
          </button>
          {isChanged && (
            <button type="button" class="plain" onClick={() => take(file)}>
              {isBehind ? "Take the other version" : "Undo my changes"}
            </button>
          )}
        </div>
      )}
    </form>
  );
}

function TableView({ entry }: { entry: Entry }) {
  const [sheet, setSheet] = useState("");
  const [table, setTable] = useState<Table | null>(null);
  const [fault, setFault] = useState("");
  const load = (offset: number) =>
    ask<Table>(
      "GET",
      `/api/files/table?${query(entry.path)}&sheet=${encodeURIComponent(sheet)}&offset=${offset}&limit=200`,
    ).then(
      (next) => setTable((now) => (now && offset ? { ...next, rows: [...now.rows, ...next.rows] } : next)),
      (error: Error) => setFault(error.message),
    );
  useEffect(() => void load(0), [sheet, entry.version]);
  if (fault) return <p role="alert">{fault}</p>;
  if (!table) return <p aria-busy="true">Reading …</p>;
  return (
    <>
      {table.sheets.length > 1 && (
        <label>
          Sheet{" "}
          <select value={table.sheet} onChange={(event) => setSheet(event.currentTarget.value)}>
            {table.sheets.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      )}
      <div class="prose">
        <div class="table" tabIndex={0}>
          <table>
            <tbody>
              {table.rows.map((row, index) => (
                <tr key={index}>
                  {row.map((cell, column) => (
                    <td key={column} dir="auto">
                      {cell === null ? "" : String(cell)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
      {table.more && (
        <button type="button" onClick={() => void load(table.rows.length)}>
          Show more
        </button>
      )}
    </>
  );
}
