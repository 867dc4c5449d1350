// What this workspace holds, all of it as one archive, and such an archive read in again.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, attempt, Refusal } from "../http";
import { live } from "../live";
import { bytes } from "../parts/bytes";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import type { Import, Upload, Usage } from "../protocol";
import { upload } from "../upload";
import { Choice, Group } from "./controls";
import { Deleted } from "./deleted";

export function Data() {
  return (
    <>
      <Storage />
      <Deleted />
      <Export />
      <ImportArchive />
    </>
  );
}

const PARTS: Record<keyof Usage["parts"], string> = {
  workspace: "Your files",
  conversations: "Conversations",
  claude: "Claude’s own notes and settings",
  home: "Programs and settings of the terminal",
  trash: "Trash",
  other: "Everything else",
};

function Storage() {
  const [usage, setUsage] = useState<Usage | null>(null);
  useEffect(() => void attempt(ask<Usage>("GET", "/api/data/usage")).then((now) => now && setUsage(now)), []);
  const parts = usage ? (Object.keys(PARTS) as (keyof Usage["parts"])[]).filter((one) => usage.parts[one]) : [];
  const used = usage ? usage.disk.total - usage.disk.free : 0;
  return (
    <Group>
      <div class="field tall">
        <div class="field-words">
          <h3>Storage</h3>
          <p>{usage ? `${bytes(usage.disk.free)} of ${bytes(usage.disk.total)} are free.` : "Counting …"}</p>
        </div>
        {usage && <meter class="full" aria-label="Storage used" min={0} max={usage.disk.total} value={used} />}
      </div>
      {parts.length > 0 && (
        <dl class="facts">
          {parts.map((one) => (
            <div class="field" key={one}>
              <dt>{PARTS[one]}</dt>
              <dd>{bytes(usage?.parts[one] ?? 0)}</dd>
            </div>
          ))}
        </dl>
      )}
    </Group>
  );
}

function Export() {
  const [withSecrets, setWithSecrets] = useState(false);
  return (
    <Group>
      <div class="field tall">
        <div class="field-words">
          <h3>Take everything with you</h3>
          <p>Your files, conversations and settings, in one archive on this device.</p>
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={withSecrets}
            onChange={(event) => setWithSecrets(event.currentTarget.checked)}
          />
          <span>
            With the login to Claude and the terminal’s home folder
            <small>Whoever gets such an archive can use your Claude account. Keep it safe.</small>
          </span>
        </label>
        <a class="button" href={`/api/data/export?secrets=${withSecrets ? 1 : 0}`} download>
          <Icon name="download" /> Download the archive
        </a>
      </div>
    </Group>
  );
}

// --- import ---

const state = signal<Import>({ state: "none" });
/** How much of the archive has arrived; null where none is on its way. */
const arrived = signal<number | null>(null);
const isWaiting = signal(false);
live.on("import", (message) => {
  state.value = message.import;
});

/** How it is, unless the workspace has told more by itself since it was asked. */
async function refresh(): Promise<void> {
  const before = state.value;
  const now = await ask<Import>("GET", "/api/data/import").catch(() => undefined);
  if (now && state.value === before) state.value = now;
}

async function readIn(file: File): Promise<void> {
  arrived.value = 0;
  try {
    const done = await upload(file, null, {
      progress: (share) => (arrived.value = share),
      waits: (now) => (isWaiting.value = now),
    });
    state.value = { state: "checking" };
    state.value = await ask<Import>("POST", "/api/data/import", { upload: done.id } satisfies { upload: Upload["id"] });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    toast.value = { text: error.message };
    await refresh();
  } finally {
    arrived.value = null;
  }
}

async function apply(existing: Existing): Promise<void> {
  state.value = { ...state.value, state: "applying" };
  const now = await attempt(ask<Import>("POST", "/api/data/import/apply", { existing }));
  if (now) state.value = now;
  else await refresh();
}

async function forget(): Promise<void> {
  if ((await attempt(ask<null>("DELETE", "/api/data/import"))) !== undefined) state.value = { state: "none" };
}

function ImportArchive() {
  useEffect(() => {
    void refresh();
    return live.onOpen(() => void refresh());
  }, []);
  return (
    <Group>
      <div class="field tall">
        <div class="field-words">
          <h3>Bring an archive back</h3>
          <p>An archive that was downloaded here or in another workspace. Nothing changes before you say so.</p>
        </div>
        <div class="import" role="status">
          <ImportState />
        </div>
      </div>
    </Group>
  );
}

function ImportState() {
  const file = useRef<HTMLInputElement>(null);
  if (arrived.value !== null)
    return <Progress words={isWaiting.value ? "Waiting for the connection at" : "Uploading"} share={arrived.value} />;
  switch (state.value.state) {
    case "checking":
      return <Progress words="Checking the archive" />;
    case "applying":
      return <Progress words="Bringing it in" />;
    case "ready":
      return <Ready found={state.value} />;
    default:
      return (
        <>
          {state.value.state === "done" && (
            <p class="status signed_in">
              <Icon name="check" /> The archive was brought in.
            </p>
          )}
          <input
            ref={file}
            class="unseen"
            type="file"
            accept=".gz,.tgz,application/gzip"
            aria-label="Archive to bring back"
            onChange={(event) => {
              const [chosen] = event.currentTarget.files ?? [];
              event.currentTarget.value = "";
              if (chosen) void readIn(chosen);
            }}
          />
          <button type="button" onClick={() => file.current?.click()}>
            <Icon name="upload" /> Choose an archive
          </button>
        </>
      );
  }
}

function Progress({ words, share }: { words: string; share?: number }) {
  return (
    <label class="progress">
      {words} {share === undefined ? "…" : `${Math.floor(share * 100)} %`}
      <progress max={1} value={share} />
    </label>
  );
}

type Existing = "keep" | "rename" | "trash";
const EXISTING: Record<Existing, { label: string; note: string }> = {
  keep: { label: "Keep what is here", note: "Files that exist already stay as they are." },
  rename: { label: "Keep both", note: "The archive’s file comes beside the one that is here." },
  trash: { label: "Take the archive’s", note: "The one that is here goes to the trash." },
};

function Ready({ found }: { found: Import }) {
  const [existing, setExisting] = useState<Existing>("keep");
  const { from, files = 0, size = 0, differ } = found;
  return (
    <>
      <p dir="auto">
        {from ? `From ${from.name}’s workspace, made ${new Date(from.made_at).toLocaleString()}: ` : ""}
        {files === 1 ? "1 file" : `${files.toLocaleString()} files`}, {bytes(size)}
        {from?.secrets ? ", with a login to Claude" : ""}.
      </p>
      {differ && differ.count > 0 && (
        <>
          <details>
            <summary>{differ.count === 1 ? "1 file is" : `${differ.count} files are`} here already and differ</summary>
            <ul class="names">
              {differ.paths.map((path) => (
                <li key={path} dir="auto">
                  {path}
                </li>
              ))}
            </ul>
          </details>
          <Choice label="For these files" kind="cards" value={existing} options={EXISTING} pick={setExisting} />
        </>
      )}
      <div class="actions">
        <button type="button" class="primary" onClick={() => void apply(existing)}>
          Bring it in
        </button>
        <button type="button" class="plain" onClick={() => void forget()}>
          Forget it
        </button>
      </div>
    </>
  );
}
