// Files that go along with what she writes: sent at once, so that they are there when she is ready.

import { signal } from "@preact/signals";
import { Refusal } from "../http";
import { uuid } from "../identity";
import { toast } from "../parts/toast";
import type { Attachment } from "../protocol";
import { tab } from "../storage";
import { attach } from "../upload";

export interface Enclosed {
  key: string;
  name: string;
  type: string;
  size: number;
  /** How much of it has arrived, from 0 to 1. */
  share: number;
  /** Once it is in the workspace. */
  id: string | null;
  /** Whether it waits for the connection to come back. */
  isWaiting: boolean;
  /** Why it did not arrive. */
  fault: string;
  /** Where its picture is, if it is one. */
  picture: string | null;
}

const MOST = 20;
const LARGEST_BYTES = 100_000_000;
const PICTURES = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;

type Kept = Readonly<Record<string, readonly Attachment[]>>;

const all = signal<Readonly<Record<string, readonly Enclosed[]>>>(
  Object.fromEntries(Object.entries(tab.get<Kept>("enclosed", {})).map(([key, list]) => [key, list.map(arrived)])),
);
/** What is on its way, to be sent once more or given up. */
const senders = new Map<string, { file: File; stop: AbortController }>();

const keyOf = (conversation: string | null) => conversation ?? "new";
export const enclosedIn = (conversation: string | null) => all.value[keyOf(conversation)] ?? [];
export const isPicture = ({ type }: { type: string }) => PICTURES.test(type);
export const addressOf = ({ id }: { id: string }) => `/api/attachments/${id}`;

function arrived(one: Attachment): Enclosed {
  return {
    ...one,
    key: one.id,
    share: 1,
    isWaiting: false,
    fault: "",
    picture: isPicture(one) ? addressOf(one) : null,
  };
}

function keep(conversation: string | null, list: readonly Enclosed[]): void {
  const { [keyOf(conversation)]: _, ...others } = all.value;
  all.value = list.length ? { ...others, [keyOf(conversation)]: list } : others;
  const ready = Object.entries(all.value).map(([key, some]) => [key, some.flatMap(attachmentOf)]);
  tab.set("enclosed", Object.fromEntries(ready));
}

export function attachmentOf({ id, name, type, size }: Enclosed): Attachment[] {
  return id ? [{ id, name, type, size }] : [];
}

function change(conversation: string | null, key: string, part: Partial<Enclosed>): void {
  keep(
    conversation,
    enclosedIn(conversation).map((one) => (one.key === key ? { ...one, ...part } : one)),
  );
}

export function enclose(conversation: string | null, files: Iterable<File>): void {
  for (const file of files) {
    if (enclosedIn(conversation).length >= MOST) {
      toast.value = { text: `At most ${MOST} files go along with one message.` };
      return;
    }
    if (file.size > LARGEST_BYTES) {
      toast.value = { text: `“${file.name}” is larger than 100 MB. Put it into your files instead.` };
      continue;
    }
    begin(conversation, file);
  }
}

function begin(conversation: string | null, file: File): void {
  const { name, type, size } = file;
  const key = uuid();
  const picture = isPicture(file) ? URL.createObjectURL(file) : null;
  keep(conversation, [
    ...enclosedIn(conversation),
    { key, name: name || "picture", type, size, share: 0, id: null, isWaiting: false, fault: "", picture },
  ]);
  void transfer(conversation, key, file);
}

async function transfer(conversation: string | null, key: string, file: File): Promise<void> {
  const stop = new AbortController();
  senders.set(key, { file, stop });
  const note = (part: Partial<Enclosed>) => change(conversation, key, part);
  try {
    const { id } = await attach(file, {
      progress: (share) => note({ share }),
      waits: (isWaiting) => note({ isWaiting }),
      signal: stop.signal,
    });
    note({ id, share: 1 });
    senders.delete(key);
  } catch (error) {
    if (error instanceof Refusal) note({ fault: error.message });
    else if (!stop.signal.aborted) throw error;
  }
}

export function tryAgain(conversation: string | null, key: string): void {
  const sender = senders.get(key);
  if (!sender) return;
  change(conversation, key, { fault: "", share: 0 });
  void transfer(conversation, key, sender.file);
}

export function takeOut(conversation: string | null, key: string): void {
  const one = enclosedIn(conversation).find((each) => each.key === key);
  senders.get(key)?.stop.abort();
  senders.delete(key);
  if (one?.picture?.startsWith("blob:")) URL.revokeObjectURL(one.picture);
  keep(
    conversation,
    enclosedIn(conversation).filter((each) => each.key !== key),
  );
}

/** What goes along with the message that is sent now; nothing waits here any more. */
export function takeAll(conversation: string | null): Attachment[] {
  const ready = enclosedIn(conversation).flatMap(attachmentOf);
  for (const one of enclosedIn(conversation)) takeOut(conversation, one.key);
  return ready;
}

/** Puts back what was not sent after all. */
export function putBack(conversation: string, list: readonly Attachment[]): void {
  keep(conversation, [...list.map(arrived), ...enclosedIn(conversation)]);
}
