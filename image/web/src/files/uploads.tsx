// Files on their way into the workspace, one after the other.

import { signal } from "@preact/signals";
import { Refusal } from "../http";
import { bytes } from "../parts/bytes";
import { Icon } from "../parts/icon";
import { toast } from "../parts/toast";
import { upload } from "../upload";
import { joined } from "./entry";
import { refresh } from "./folder";

interface Sending {
  path: string;
  name: string;
  size: number;
  share: number;
  isWaiting: boolean;
  stop: AbortController;
}

export interface Chosen {
  file: File;
  /** Where it belongs below the folder: its name, or that of a dropped folder and its own. */
  name: string;
}

const sendings = signal<readonly Sending[]>([]);
let isRunning = false;
const waiting: { chosen: Chosen; sending: Sending }[] = [];

export function uploadTo(folder: string, files: readonly Chosen[]): void {
  for (const chosen of files) {
    const { name, file } = chosen;
    const stop = new AbortController();
    const sending = { path: joined(folder, name), name, size: file.size, share: 0, isWaiting: false, stop };
    sendings.value = [...sendings.value, sending];
    waiting.push({ chosen, sending });
  }
  if (!isRunning) void run();
}

async function run(): Promise<void> {
  isRunning = true;
  const arrived: string[] = [];
  for (let next = waiting.shift(); next; next = waiting.shift())
    if (await sent(next.chosen.file, next.sending)) arrived.push(next.sending.name);
  isRunning = false;
  await refresh();
  if (arrived.length === 1) toast.value = { text: `“${arrived[0]}” has arrived.` };
  else if (arrived.length) toast.value = { text: `${arrived.length} files have arrived.` };
}

async function sent(file: File, sending: Sending): Promise<boolean> {
  if (sending.stop.signal.aborted) return false;
  try {
    await upload(file, sending.path, {
      progress: (share) => note(sending, { share }),
      waits: (isWaiting) => note(sending, { isWaiting }),
      signal: sending.stop.signal,
    });
    return true;
  } catch (error) {
    if (error instanceof Refusal) toast.value = { text: `“${sending.name}”: ${error.message}` };
    else if (!sending.stop.signal.aborted) throw error;
    return false;
  } finally {
    sendings.value = sendings.value.filter((one) => one.stop !== sending.stop);
  }
}

function note({ stop }: Sending, part: Partial<Sending>): void {
  sendings.value = sendings.value.map((one) => (one.stop === stop ? { ...one, ...part } : one));
}

export function Uploads() {
  if (sendings.value.length === 0) return null;
  return (
    <section class="sendings" aria-label="Uploads">
      <ul>
        {sendings.value.map(({ name, size, share, isWaiting, stop, path }) => (
          <li key={path}>
            <span class="sending-name" dir="auto">
              {name}
            </span>
            <progress aria-label={`Upload of ${name}`} max={1} value={share} />
            <small role="status">{isWaiting ? "Waits for the connection …" : bytes(size)}</small>
            <button
              type="button"
              class="mini"
              aria-label={`Stop the upload of ${name}`}
              onClick={() => {
                stop.abort();
                sendings.value = sendings.value.filter((one) => one.stop !== stop);
              }}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** All files of what was dropped, folders with what is in them. */
export async function dropped(data: DataTransfer): Promise<Chosen[]> {
  // Read at once: what was dropped is only there while the event lasts.
  const plain = [...data.files].map((file) => ({ file, name: file.name }));
  const roots = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return roots.some((entry) => entry.isDirectory) ? (await Promise.all(roots.map((one) => inside(one)))).flat() : plain;
}

async function inside(entry: FileSystemEntry, above = ""): Promise<Chosen[]> {
  const name = joined(above, entry.name);
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    return [{ file, name }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    // A folder is read a hundred entries at a time.
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) break;
    found.push(...some);
  }
  return (await Promise.all(found.map((one) => inside(one, name)))).flat();
}
