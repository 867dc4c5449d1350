// Keeps nothing: every page comes from the workspace. Where that cannot be reached this says so and tries again, and
// it shows the messages that the page wants shown while it is hidden.

const AWAY = (nonce) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="5">
<title>My Jarvis</title>
<style nonce="${nonce}">
  body { margin: 0; min-height: 100dvh; display: grid; place-content: center; gap: .5rem; padding: 1.5rem;
    text-align: center; font: 1rem/1.5 system-ui, sans-serif; background: #fbfaf8; color: #1f2321 }
  h1 { margin: 0; font-size: 1.375rem } p { margin: 0; max-width: 26rem }
  a { color: inherit }
  @media (prefers-color-scheme: dark) { body { background: #181a19; color: #e9ece9 } }
</style>
<main>
<h1>Your workspace cannot be reached</h1>
<p>This device seems to be offline. Everything is safe in your workspace; this page tries again every few seconds.</p>
<p><a href="">Try now</a></p>
</main>`;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => {
  event.waitUntil(Promise.all([self.clients.claim(), self.registration.navigationPreload?.enable()]));
});

self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate" && event.request.method === "GET") event.respondWith(page(event));
});

/** The browser asks for the page while this worker starts, so that it costs no time. */
async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return away();
  }
}

function away() {
  const nonce = crypto.randomUUID();
  return new Response(AWAY(nonce), {
    status: 503,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; frame-ancestors 'none'`,
    },
  });
}

/** From the workspace, past all pages. What a page has shown of the same news says more, and stays. */
self.addEventListener("push", (event) => {
  const { title, conversation } = event.data.json();
  event.waitUntil(tell(title, conversation));
});

async function tell(title, conversation) {
  const [shown] = await self.registration.getNotifications({ tag: conversation });
  const body = shown?.title === title ? shown.body : "";
  const data = { path: `/c/${conversation}` };
  await self.registration.showNotification(title, { body, tag: conversation, icon: "/icon-192.png", data });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data.path));
});

/** In the window that is open, or in a new one. */
async function show(path) {
  const [open] = await self.clients.matchAll({ type: "window" });
  if (!open) return self.clients.openWindow(path);
  open.postMessage({ open: path });
  return open.focus();
}
