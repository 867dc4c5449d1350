import { render } from "preact";
import { App } from "./app";
import { loadConversation } from "./chat/page";
import { live } from "./live";
import { watchLook } from "./look";
import { watchNotifications } from "./notify";
import { watchHand } from "./parts/hand";
import { watchPresence } from "./presence";
import { watchShortcuts } from "./shortcuts";
import { watchStyles } from "./restyle";
import { tab } from "./storage";
import { loadTerminal } from "./terminal/load";
import "./style/tokens.css";
import "./style/parts.css";
import "./style/frame.css";
import "./style/chat.css";

const QUIET_MS = 1500;

watchStyles();
live.wake();
watchLook();
watchPresence();
watchHand();
watchShortcuts();
// A file that is dropped beside its place would take the page's.
for (const moment of ["dragover", "drop"] as const)
  addEventListener(moment, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
  performance.mark("usable");
}
// The worker, and the code for what comes next, when nothing else is under way, so that it opens at once later.
addEventListener("load", () =>
  setTimeout(() => {
    tab.set("tries", undefined); // of index.html: everything has come
    watchNotifications();
    void loadConversation().catch(() => undefined);
    void loadTerminal().catch(() => undefined);
  }, QUIET_MS),
);
