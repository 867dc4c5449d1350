import { useState } from "preact/hooks";
import { currentTitle, revise, shownConversation } from "./conversations";
import { ConversationMenu } from "./list/actions";
import { askHer } from "./parts/dialog";
import type { Conversation } from "./protocol";
import { Icon } from "./parts/icon";
import { current, drawerOpen, inChat, place, toChat } from "./place";
import { device } from "./storage";

export interface SidebarState {
  isHidden: boolean;
  toggle: () => void;
}

/** Whether she has put the sidebar away, on a screen that has room for it. */
export function useSidebar(): SidebarState {
  const [isHidden, setHidden] = useState(() => device.get("sidebar-hidden", false));
  const toggle = () => {
    device.set("sidebar-hidden", !isHidden);
    setHidden(!isHidden);
  };
  return { isHidden, toggle };
}

export function Topbar({ sidebar }: { sidebar: SidebarState }) {
  return (
    <header class="topbar">
      <button
        type="button"
        class="mini only-narrow"
        aria-label="Show conversations"
        aria-expanded={drawerOpen.value}
        onClick={() => {
          drawerOpen.value = true;
        }}
      >
        <Icon name="menu" />
      </button>
      {sidebar.isHidden && (
        <button
          type="button"
          class="mini only-broad"
          aria-label="Show sidebar"
          title="Show sidebar"
          onClick={sidebar.toggle}
        >
          <Icon name="panel" />
        </button>
      )}
      <Title />
      {inChat.value && shownConversation.value && (
        <ConversationMenu
          conversation={shownConversation.value}
          rename={() => shownConversation.value && void rename(shownConversation.value)}
        />
      )}
      <button
        type="button"
        class={`mini ${sidebar.isHidden ? "" : "only-narrow"}`}
        aria-label="Start a new chat"
        title="New chat"
        onClick={() => toChat()}
      >
        <Icon name="pencil" />
      </button>
    </header>
  );
}

async function rename({ id, title }: Conversation): Promise<void> {
  const given = await askHer({ title: "Rename", text: "", action: "Rename", field: "New title", value: title });
  const words = given?.replace(/\s+/g, " ").trim();
  if (words && words !== title) await revise(id, { title: words });
}

/** Where the page has no title of its own. */
function Title() {
  if (place.value.page === "files") return <h1 class="topbar-title">Files</h1>;
  if (!inChat.value || !current.value) return <span class="grow" />;
  const title = currentTitle.value;
  return (
    <h1 class="topbar-title" dir="auto">
      {title || <span class="unseen">Conversation</span>}
    </h1>
  );
}
