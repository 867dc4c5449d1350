// A file on its way to the workspace, in pieces; after a lost connection it goes on where it stood.

import { delayMs } from "./backoff";
import { ask, Refusal, send } from "./http";
import type { Upload } from "./protocol";

const FIRST_PIECE = 256 * 1024;
const LARGEST_PIECE = 8 * 1024 * 1024;
const AIM_MS = 800;
const MOST_TRIES = 8;

export interface Course {
  /** How much has arrived, from 0 to 1. */
  progress?: (share: number) => void;
  signal?: AbortSignal;
}

/** `path` is the file's own in the workspace; null for one that has no place there. */
export async function upload(file: Blob, path: string | null, course: Course = {}): Promise<Upload> {
  const begun = await ask<Upload>("POST", "/api/uploads", { path, size: file.size, existing: "rename" });
  try {
    return await pieces(file, begun, course);
  } catch (error) {
    void ask("DELETE", `/api/uploads/${begun.id}`).catch(() => undefined);
    throw error;
  }
}

async function pieces(file: Blob, begun: Upload, { progress, signal }: Course): Promise<Upload> {
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
      if (signal?.aborted || !(error instanceof Refusal) || (error.status !== 0 && error.status !== 409)) throw error;
      if (++tries >= MOST_TRIES) throw error;
      await pause(delayMs(tries));
      now = (await ask<Upload>("GET", `/api/uploads/${now.id}`).catch(() => undefined)) ?? now;
    }
    progress?.(file.size ? now.offset / file.size : 1);
    if (file.size === 0) break;
  }
  return now;
}

const address = ({ id, offset }: Upload) => `/api/uploads/${id}?offset=${offset}`;
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Pieces that take about as long as one likes to wait for a sign of progress. */
export function nextSize(size: number, tookMs: number): number {
  if (tookMs < AIM_MS / 2) return Math.min(LARGEST_PIECE, size * 2);
  if (tookMs > AIM_MS * 2) return Math.max(FIRST_PIECE / 4, size / 2);
  return size;
}
