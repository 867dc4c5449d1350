// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from "vitest";
import { receivePushes, refusePushes } from "./push";

const asked: [string, string, unknown][] = [];
let subscription: { endpoint: string; key: string; toJSON(): unknown; unsubscribe(): Promise<boolean> } | null;

function promise(key: string): NonNullable<typeof subscription> {
  const endpoint = `https://push.example/${key}`;
  const unsubscribe = () => Promise.resolve((subscription = null) === null);
  return { endpoint, key, toJSON: () => ({ endpoint, keys: {} }), unsubscribe };
}

const pushManager = {
  getSubscription: () => Promise.resolve(subscription),
  subscribe: ({ applicationServerKey: key }: { applicationServerKey: string }) =>
    subscription && subscription.key !== key
      ? Promise.reject(new Error("another key"))
      : Promise.resolve((subscription ??= promise(key))),
};

beforeEach(() => {
  asked.length = 0;
  subscription = null;
  Object.defineProperty(navigator, "serviceWorker", {
    configurable: true,
    value: { ready: Promise.resolve({ pushManager }) },
  });
  vi.stubGlobal("fetch", (path: string, { method, body }: { method: string; body?: string }) => {
    asked.push([method, path, body && JSON.parse(body)]);
    return Promise.resolve(
      method === "GET" ? new Response(JSON.stringify({ key: "new" })) : new Response(null, { status: 204 }),
    );
  });
});

test("a device that wants to know tells the workspace where", async () => {
  await receivePushes();
  expect(asked.at(-1)).toEqual(["POST", "/api/push", { endpoint: "https://push.example/new", keys: {} }]);
});

test("what was promised to a former workspace's key is given up", async () => {
  subscription = promise("old");
  await receivePushes();
  expect(subscription.endpoint).toBe("https://push.example/new");
});

test("who wants to know no more is forgotten here and there", async () => {
  subscription = promise("new");
  await refusePushes();
  expect(subscription).toBe(null);
  expect(asked).toEqual([["DELETE", "/api/push", { endpoint: "https://push.example/new" }]]);
});

test("a browser without a push service is no trouble", async () => {
  Object.defineProperty(navigator, "serviceWorker", { configurable: true, value: { ready: Promise.resolve({}) } });
  await receivePushes();
  await refusePushes();
});
