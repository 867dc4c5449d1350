// A file on its way to the workspace, in pieces; after a lost connection it goes on where it stood.

import { delayMs } from "./backoff";
import { ask, Refusal, send } from "./http";
import type { Attachment, Upload } from "./protocol";
import { untilReachable } from "./reach";

const SMALLEST_PIECE = 64 * 1024;
const FIRST_PIECE = 256 * 1024;
const LARGEST_PIECE = 8 * 1024 * 1024;
const AIM_MS = 800;
/** Of one piece that the workspace does not take although it answers; while it is out of reach nothing counts. */
const MOST_TRIES = 8;

export interface Course {
  /** How much has arrived, from 0 to 1. */
  progress?: (share: number) => void;
  /** Whether it waits for the connection to come back. */
  waits?: (isWaiting: boolean) => void;
  signal?: AbortSignal;
}

/** `path` is the file's own in the workspace; null for one that has no place there. */
export async function upload(file: Blob, path: string | null, course: Course = {}): Promise<Upload> {
  const body = { path, size: file.size, existing: "rename" };
  const begun = await persevering(() => ask<Upload>("POST", "/api/uploads", body), course);
  try {
    return await pieces(file, begun, course);
  } catch (error) {
    void ask("DELETE", `/api/uploads/${begun.id}`).catch(() => undefined);
    throw error;
  }
}

/** One that goes along with a message. */
export async function attach(file: File, course: Course): Promise<Attachment> {
  const { id } = await upload(file, null, course);
  const body = { upload: id, name: file.name || "picture", type: file.type };
  return persevering(() => ask<Attachment>("POST", "/api/attachments", body), course);
}

async function pieces(file: Blob, begun: Upload, course: Course): Promise<Upload> {
  const { progress, signal } = course;
  let now = begun;
  let size = FIRST_PIECE;
  let tries = 0;
  while (now.offset < file.size || (file.size === 0 && !now.entry)) {
    signal?.throwIfAborted();
    const began = Date.now();
    try {
      now = await send<Upload>("PUT", address(now), file.slice(now.offset, now.offset + size), signal);
      size = nextSize(size, Date.now() - began);
      tries = 0;
    } catch (error) {
      if (!isLost(error, signal) && !isMisplaced(error)) throw error;
      size = Math.max(SMALLEST_PIECE, size / 2);
      const before = now.offset;
      now = await persevering(() => ask<Upload>("GET", `/api/uploads/${now.id}`), course);
      tries = now.offset > before ? 0 : tries + 1;
      if (tries === MOST_TRIES) throw error;
      if (tries > 1) await untilReachable(delayMs(tries), signal);
    }
    progress?.(file.size ? now.offset / file.size : 1);
    if (file.size === 0) break;
  }
  return now;
}

/** Asks until the workspace answers: a tunnel may be long, and a machine may have to wake. */
async function persevering<T>(work: () => Promise<T>, { waits, signal }: Course): Promise<T> {
  try {
    for (let failed = 0; ; failed++) {
      try {
        signal?.throwIfAborted();
        return await work();
      } catch (error) {
        if (!isLost(error, signal)) throw error;
      }
      waits?.(true);
      await untilReachable(delayMs(failed), signal);
    }
  } finally {
    waits?.(false);
  }
}

/** No answer, or one of who stands before the workspace. */
function isLost(error: unknown, signal?: AbortSignal): boolean {
  return !signal?.aborted && error instanceof Refusal && [0, 502, 503, 504].includes(error.status);
}

const isMisplaced = (error: unknown) => error instanceof Refusal && error.status === 409;

const address = ({ id, offset }: Upload) => `/api/uploads/${id}?offset=${offset}`;

/** Pieces that take about as long as one likes to wait for a sign of progress. */
export function nextSize(size: number, tookMs: number): number {
  if (tookMs < AIM_MS / 2) return Math.min(LARGEST_PIECE, size * 2);
  if (tookMs > AIM_MS * 2) return Math.max(SMALLEST_PIECE, size / 2);
  return size;
}
