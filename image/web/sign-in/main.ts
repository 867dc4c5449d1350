// Who is not signed in sees this page, at whatever address. It trades the key of a welcome link, or a name and a
// password, for a cookie, and then loads that address again.

import "../src/style/tokens.css";
import "./page.css";
import { keyOf } from "./key";

type Way = { login: "link" | "password" | "none" | "closed"; signed_in: boolean };
type Problem = { code: string; message: string; hint: string };

const PRIVATE = "This workspace is private";
const ENTERED = "jarvis-entered"; // when, the last few times
const LOOP_MS = 10_000;
const TRIES = 3;

const part = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const main = document.querySelector("main") as HTMLElement;
const linkForm = part<HTMLFormElement>("link");
const passwordForm = part<HTMLFormElement>("password");
const pasted = part<HTMLInputElement>("pasted");
const user = part<HTMLInputElement>("user");
const secret = part<HTMLInputElement>("secret");
const again = part<HTMLButtonElement>("again");

class Refused extends Error {
  constructor(
    readonly problem: Problem,
    readonly waitS: number,
  ) {
    super(problem.message);
  }
}

/** The key in the address, which is out of it at once: neither history nor a look over the shoulder keeps it. */
function takeKey(): string | null {
  const found = /[#&]key=([^&]*)/.exec(location.hash)?.[1] ?? null;
  if (found !== null) history.replaceState(null, "", location.pathname + location.search);
  return found;
}

async function ask<T>(method: string, body?: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/api/login", { method, headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(problemIn(text), Number(answer.headers.get("retry-after")) || 0);
  return (text ? JSON.parse(text) : null) as T;
}

function problemIn(text: string): Problem {
  try {
    return (JSON.parse(text) as { error: Problem }).error;
  } catch {
    return { code: "strange", message: "The workspace gave an answer that makes no sense.", hint: "" };
  }
}

/** Loads the address again, from here: the first time, out of a mail, no cookie came along. */
function enter(): void {
  if (isLoop()) noCookies();
  else location.replace(location.pathname + location.search);
}

function isLoop(): boolean {
  try {
    const times = JSON.parse(sessionStorage.getItem(ENTERED) ?? "[]") as number[];
    sessionStorage.setItem(ENTERED, JSON.stringify([...times, Date.now()].slice(-TRIES)));
    return times.length >= TRIES && Date.now() - (times[0] ?? 0) < LOOP_MS;
  } catch {
    return false;
  }
}

function noCookies(): void {
  show("This browser keeps no cookies", "Allow cookies for this address, then try again.", null);
  again.hidden = false;
}

function show(title: string, words: string, form: HTMLFormElement | null): void {
  main.ariaBusy = "false";
  document.title = `${title} · My Jarvis`;
  part("title").textContent = title;
  part("words").textContent = words;
  part("error").textContent = "";
  linkForm.hidden = form !== linkForm;
  passwordForm.hidden = form !== passwordForm;
  again.hidden = true;
  form?.querySelector("input")?.focus();
}

function complain(message: string): void {
  main.ariaBusy = "false";
  // Emptied first, so that the same sentence is read out again.
  part("error").textContent = "";
  requestAnimationFrame(() => (part("error").textContent = message));
}

function invite({ login }: Way): void {
  if (login === "link")
    show(PRIVATE, "Open the welcome link that you were sent on this device, or paste it here.", linkForm);
  else if (login === "password") show("Welcome back", "Sign in to your workspace.", passwordForm);
  else
    show(
      "Nobody can come in yet",
      "No way to sign in was set up for this workspace. The person who gave you this address can set one up.",
      null,
    );
}

/** `key` is what the address held; kept until it was answered, so that a bad network costs nobody her link. */
async function begin(key: string | null): Promise<void> {
  main.ariaBusy = "true";
  again.hidden = true;
  again.onclick = () => void begin(key);
  try {
    const way = await ask<Way>("GET");
    if (way.signed_in) enter();
    else if (key !== null && way.login === "link") await signIn({ key });
    else invite(way);
  } catch (error) {
    failed(error);
  }
}

async function signIn(given: { key: string } | { user: string; password: string }): Promise<void> {
  main.ariaBusy = "true";
  part("error").textContent = "";
  await ask("POST", given);
  if ((await ask<Way>("GET")).signed_in) enter();
  else noCookies();
}

function failed(error: unknown): void {
  if (!(error instanceof Refused)) {
    show("Your workspace could not be reached", "Check your connection, then try again.", null);
    again.hidden = false;
    again.focus();
  } else if (error.problem.code === "wrong_key") {
    show(
      "This link is no longer valid",
      "Ask the person who sent it to you for a new one, then open it or paste it here.",
      linkForm,
    );
  } else {
    if (linkForm.hidden && passwordForm.hidden) show(PRIVATE, "Paste your welcome link to come in.", linkForm);
    complain([error.problem.message, error.problem.hint].join(" ").trim());
    if (error.waitS) rest(error.waitS);
  }
}

/** No button that would only be refused. */
function rest(seconds: number): void {
  const buttons = document.querySelectorAll<HTMLButtonElement>("form button");
  for (const button of buttons) button.disabled = true;
  setTimeout(() => {
    for (const button of buttons) button.disabled = false;
    part("error").textContent = "";
  }, seconds * 1000);
}

linkForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const found = keyOf(pasted.value, location.host);
  if (!found) complain("That is not a welcome link. It ends in #key= and a row of letters and digits.");
  else if ("elsewhere" in found) complain(`That link is for another workspace: ${found.elsewhere}`);
  else
    void signIn(found)
      .catch(failed)
      .finally(() => (pasted.value = ""));
});
passwordForm.addEventListener("submit", (event) => {
  event.preventDefault();
  void signIn({ user: user.value, password: secret.value }).catch((error: unknown) => {
    failed(error);
    secret.select();
  });
});
// A link that is pasted into the address bar while this page is open loads nothing by itself.
addEventListener("hashchange", () => location.hash.includes("key=") && void begin(takeKey()));
addEventListener("pageshow", (event) => event.persisted && location.reload());
void begin(takeKey());
