import { lazy } from "../parts/lazy";
import { current } from "../place";
import { isLoading, sending, timeline } from "./chat";
import { Composer } from "./composer";
import { DropArea } from "./drop";
import { ConnectFirst, Ideas, Welcome } from "./welcome";

/** Fetches what shows a conversation: a new chat has nothing to show yet. */
export const loadConversation = () => import("./conversation");
const Conversation = lazy(loadConversation, () => <div class="scroller" aria-busy="true" />, "div");

export function ChatPage() {
  const id = current.value;
  const isEmpty = !id || (timeline.value.items.length === 0 && sending.value.length === 0 && !isLoading.value);
  return (
    <DropArea class={`chat ${isEmpty ? "empty" : ""}`}>
      {isEmpty ? <Welcome /> : <Conversation key={id} />}
      {isEmpty && <ConnectFirst />}
      <Composer />
      {isEmpty && <Ideas />}
    </DropArea>
  );
}
