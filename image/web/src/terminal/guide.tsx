// The steps to a login, beside a terminal that has the whole screen; at the end it says so and leads back.

import { Icon } from "../parts/icon";
import { toChat } from "../place";
import { Done, LoginSteps } from "../settings/login";
import { isSignedIn } from "../workspace";
import { terminalOpen } from "./open";

export function Guide({ hide }: { hide: () => void }) {
  if (isSignedIn.value)
    return (
      <aside class="terminal-guide" aria-label="Connected">
        <Done
          leave={() => {
            terminalOpen.value = false;
            toChat();
          }}
        />
      </aside>
    );
  return (
    <aside class="terminal-guide" aria-label="How to connect">
      <header>
        <h2>Connect Claude Code</h2>
        <button type="button" class="mini" aria-label="Hide the steps" title="Hide the steps" onClick={hide}>
          <Icon name="close" />
        </button>
      </header>
      <LoginSteps />
    </aside>
  );
}
