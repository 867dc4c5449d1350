// News for this device while it shows no page: its browser's push service wakes the worker (public/sw.js).

import { ask } from "./http";
import { live } from "./live";

/** Only where a browser has a push service; elsewhere a page that is open tells her all the same. */
export async function receivePushes(): Promise<void> {
  try {
    const { pushManager } = await navigator.serviceWorker.ready;
    const { key } = await ask<{ key: string }>("GET", "/api/push");
    const subscription = await subscribed(pushManager, key);
    await ask("POST", "/api/push", subscription.toJSON());
  } catch {
    // Offline, or a browser that has none: it is tried again with the next page.
  }
}

/** A workspace that was made anew has another key, and cannot use what was promised to the old one. */
async function subscribed(manager: PushManager, key: string): Promise<PushSubscription> {
  const wanted = { userVisibleOnly: true, applicationServerKey: key };
  try {
    return await manager.subscribe(wanted);
  } catch (error) {
    const old = await manager.getSubscription();
    if (!old) throw error;
    await old.unsubscribe();
    return manager.subscribe(wanted);
  }
}

export async function refusePushes(): Promise<void> {
  try {
    const { pushManager } = await navigator.serviceWorker.ready;
    const subscription = await pushManager.getSubscription();
    if (!subscription) return;
    await subscription.unsubscribe();
    await ask("DELETE", "/api/push", { endpoint: subscription.endpoint });
  } catch {
    // The push service tells the workspace that nobody is there, with the next news.
  }
}

/** A window that is seen and not used may stand beside the one that she works in. */
export const isLooking = () => !document.hidden && document.hasFocus();

/** While she looks at a page anywhere, no other device of hers is woken. */
function tellWhetherSheLooks(): void {
  live.send({ type: "looking", is: isLooking() });
}
live.onOpen(tellWhetherSheLooks);
for (const kind of ["focus", "blur"]) addEventListener(kind, tellWhetherSheLooks);
document.addEventListener("visibilitychange", tellWhetherSheLooks);
