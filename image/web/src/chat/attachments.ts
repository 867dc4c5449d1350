// Files that go along with what she writes: sent at once, so that they are there when she is ready.

import { signal } from "@preact/signals";
import { delayMs } from "../backoff";
import { refused, Refusal } from "../http";
import { uuid } from "../identity";
import { toast } from "../parts/toast";
import type { Attachment } from "../protocol";
import { untilReachable } from "../reach";
import { tab } from "../storage";

export interface Enclosed {
  key: string;
  name: string;
  type: string;
  size: number;
  /** How much of it has arrived, from 0 to 1. */
  share: number;
  /** Once it is in the workspace. */
  id: string | null;
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
const senders = new Map<string, { file: File; request: XMLHttpRequest; losses: number }>();

const keyOf = (conversation: string | null) => conversation ?? "new";
export const enclosedIn = (conversation: string | null) => all.value[keyOf(conversation)] ?? [];
export const isPicture = ({ type }: { type: string }) => PICTURES.test(type);
export const addressOf = ({ id }: { id: string }) => `/api/attachments/${id}`;

function arrived(one: Attachment): Enclosed {
  return { ...one, key: one.id, share: 1, fault: "", picture: isPicture(one) ? addressOf(one) : null };
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
    { key, name: name || "picture", type, size, share: 0, id: null, fault: "", picture },
  ]);
  transfer(conversation, key, file);
}

/** Where the connection breaks it begins anew by itself once there is one again. */
function transfer(conversation: string | null, key: string, file: File, losses = 0): void {
  const request = new XMLHttpRequest();
  senders.set(key, { file, request, losses });
  const failed = (fault: string) => change(conversation, key, { fault });
  request.upload.onprogress = ({ loaded, total }) => change(conversation, key, { share: total ? loaded / total : 0 });
  request.onerror = () => {
    failed("The connection was lost. It is sent again by itself.");
    void untilReachable(delayMs(losses)).then(
      () => senders.get(key)?.request === request && tryAgain(conversation, key),
    );
  };
  request.onload = () => {
    if (request.status !== 201) {
      refused(request.status, request.responseText).catch((error: Refusal) => failed(error.message));
      return;
    }
    senders.delete(key);
    change(conversation, key, { id: (JSON.parse(request.responseText) as Attachment).id, share: 1 });
  };
  request.open("POST", `/api/attachments?name=${encodeURIComponent(file.name || "picture")}`);
  request.setRequestHeader("content-type", file.type || "application/octet-stream");
  request.send(file);
}

export function tryAgain(conversation: string | null, key: string): void {
  const sender = senders.get(key);
  if (!sender) return;
  change(conversation, key, { fault: "", share: 0 });
  transfer(conversation, key, sender.file, sender.losses + 1);
}

export function takeOut(conversation: string | null, key: string): void {
  const one = enclosedIn(conversation).find((each) => each.key === key);
  senders.get(key)?.request.abort();
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
