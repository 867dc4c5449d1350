import { toast } from "./parts/toast";

/** The server said no, or could not be asked; the message is a sentence for people. */
export class Refusal extends Error {}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, request(method, body)).catch(() => {
    throw new Refusal("Your workspace could not be reached. Please try again.");
  });
  const text = await response.text();
  if (!response.ok) throw new Refusal(reason(text) ?? `The workspace answered with ${response.status}.`);
  return (text ? JSON.parse(text) : null) as T;
}

function request(method: string, body: unknown): RequestInit {
  if (body === undefined) return { method };
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function reason(text: string): string | undefined {
  try {
    const { message, hint } = (JSON.parse(text) as { error: { message: string; hint: string } }).error;
    return hint ? `${message} ${hint}` : message;
  } catch {
    return undefined;
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
