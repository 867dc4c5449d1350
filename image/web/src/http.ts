import { leave } from "./door";
import { toast } from "./parts/toast";

/** The server said no, or could not be asked; the message is a sentence for people. */
export class Refusal extends Error {}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, request(method, body)).catch(() => {
    throw new Refusal("Your workspace could not be reached. Please try again.");
  });
  const text = await response.text();
  if (!response.ok) return refused(response.status, text);
  return (text ? JSON.parse(text) : null) as T;
}

/** Where this device is signed out nothing is said: the page is on its way to the door. */
export function refused(status: number, text: string): Promise<never> {
  const { code, words } = reason(text);
  if (status === 401 && code === "signed_out") {
    leave();
    return new Promise(() => undefined);
  }
  throw new Refusal(words || `The workspace answered with ${status}.`);
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
