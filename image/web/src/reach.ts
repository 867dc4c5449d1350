// Waiting until the workspace may be asked again.

import { live } from "./live";

/** After this time, or as soon as the network or the live connection is back; at once where she gives up. */
export function untilReachable(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(finish, ms);
    const stopWatching = live.onOpen(finish);
    addEventListener("online", finish);
    signal?.addEventListener("abort", finish);
    function finish(): void {
      clearTimeout(timer);
      stopWatching();
      removeEventListener("online", finish);
      signal?.removeEventListener("abort", finish);
      done();
    }
  });
}
