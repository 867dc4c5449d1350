import { current } from "../place";
import { isLoading, sending, timeline } from "./chat";
import { Composer } from "./composer";
import { Conversation } from "./conversation";
import { DropArea } from "./drop";
import { ConnectFirst, Ideas, Welcome } from "./welcome";

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
