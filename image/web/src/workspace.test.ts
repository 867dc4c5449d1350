// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Auth } from "./protocol";

const answers: ((answer: Response) => void)[] = [];

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("fetch", () => new Promise<Response>((answer) => answers.push(answer)));
});
afterEach(() => {
  answers.length = 0;
  vi.unstubAllGlobals();
  vi.resetModules();
});

const says = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });

test("an answer takes back nothing that she chose since it was asked", async () => {
  const { change, settings } = await import("./workspace");
  const before = { ...settings.value, theme: "system", text_size: "medium" };
  const first = change({ theme: "dark" });
  const second = change({ text_size: "large" });
  answers[0]?.(says(200, { ...before, theme: "dark" }));
  await first;
  expect(settings.value).toMatchObject({ theme: "dark", text_size: "large" });
  answers[1]?.(says(200, { ...before, theme: "dark", text_size: "large" }));
  await second;
  expect(settings.value).toMatchObject({ theme: "dark", text_size: "large" });
});

test("what the server refuses is taken back, and nothing else", async () => {
  const { change, settings } = await import("./workspace");
  const refused = change({ display_name: "x".repeat(999) });
  const kept = change({ theme: "light" });
  answers[0]?.(says(400, { error: { code: "bad", message: "Too long.", hint: "" } }));
  await refused;
  expect(settings.value).toMatchObject({ display_name: "", theme: "light" });
  answers[1]?.(says(200, { ...settings.value, theme: "light" }));
  await kept;
  expect(settings.value.theme).toBe("light");
});

test("an answer about the login takes back nothing that the workspace has told meanwhile", async () => {
  const { auth, checkAuth } = await import("./workspace");
  const [out, there] = (["signed_out", "signed_in"] as const).map((state) => ({ state }) as Auth) as [Auth, Auth];
  const asked = checkAuth();
  auth.value = there;
  answers[0]?.(says(200, out));
  await asked;
  expect(auth.value).toBe(there);
  const again = checkAuth();
  answers[1]?.(says(200, out));
  await again;
  expect(auth.value).toEqual(out);
});
