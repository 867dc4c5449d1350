import { persistently } from "./backoff";
import { leave } from "./door";
import { toast } from "./parts/toast";

/** The server said no, or could not be asked; the message is a sentence for people. */
export class Refusal extends Error {
  constructor(
    message: string,
    /** 0 where there was no answer at all. */
    readonly status = 0,
    readonly code = "",
  ) {
    super(message);
  }
}

/** What only reads is asked again where the network took the answer. */
export function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const once = () => answered<T>(path, request(method, body));
  return method === "GET" ? persistently(once, isLost) : once();
}

const isLost = (error: unknown) => error instanceof Refusal && error.status === 0;

/** As `ask`, with bytes as they are. */
export function send<T>(method: string, path: string, body: Blob, signal?: AbortSignal): Promise<T> {
  return answered(path, {
    method,
    body,
    headers: { "content-type": "application/octet-stream" },
    ...(signal ? { signal } : {}),
  });
}

async function answered<T>(path: string, init: RequestInit): Promise<T> {
  const { response, text } = await fetched(path, init).catch((error: unknown) => {
    if (init.signal?.aborted) throw error;
    throw new Refusal("Your workspace could not be reached. Please try again.");
  });
  if (!response.ok) return refused(response.status, text);
  return (text ? JSON.parse(text) : null) as T;
}

/** How far the workspace's clock is ahead of this device's, as far as whole seconds tell. */
let aheadMs = 0;
/** The time by the workspace's clock, by which all its times are told. */
export const workspaceNow = () => Date.now() + aheadMs;

async function fetched(path: string, init: RequestInit): Promise<{ response: Response; text: string }> {
  const response = await fetch(path, init);
  const told = Date.parse(response.headers.get("date") ?? "");
  if (told) aheadMs = told - Date.now();
  return { response, text: await response.text() };
}

/** Where this device is signed out, or the workspace rests, nothing is said: the page is on its way to the page that says so. */
export async function refused(status: number, text: string): Promise<never> {
  const { code, words } = reason(text);
  if ((status === 401 && code === "signed_out") || (status === 403 && code === "paused")) {
    leave();
    return new Promise<never>(() => undefined);
  }
  throw new Refusal(words || `The workspace answered with ${status}.`, status, code);
}

function request(method: string, body: unknown): RequestInit {
  if (body === undefined) return { method };
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function reason(text: string): { code: string; words: string } {
  try {
    const { code, message, hint } = (JSON.parse(text) as { error: Record<string, string> }).error ?? {};
    return { code: code ?? "", words: [message, hint].filter(Boolean).join(" ") };
  } catch {
    return { code: "", words: "" };
  }
}

/** Does it; where that fails she is told, and nothing comes back. */
export async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    toast.value = { text: error.message };
    return undefined;
  }
}
