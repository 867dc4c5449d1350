// Whether Claude Code is connected, and how that is done, in words.

import { auth } from "./store";

const STEPS = [
  "Open the terminal.",
  "Type claude authenticate and press Enter.",
  "Click the link, log in with your own Anthropic account, and copy the code that you get.",
  "Paste the code into the terminal and press Enter.",
];

function authWords(): string {
  const now = auth.value;
  if (!now || now.state === "checking") return "Checking …";
  if (now.state === "signed_out") return "Not connected";
  const who = now.email ? ` as ${now.email}` : now.method === "api_key" ? " with an API key" : "";
  return `Connected${who}${now.plan ? ` · ${now.plan} plan` : ""}`;
}

export function AuthStatus() {
  return (
    <p class={`status ${auth.value?.state ?? "checking"}`} data-testid="auth-status" role="status">
      <span class="dot" aria-hidden="true" />
      {authWords()}
    </p>
  );
}

export function Steps() {
  return (
    <ol class="steps">
      {STEPS.map((step) => (
        <li key={step}>
          {step.includes("claude authenticate") ? (
            <>
              Type <code>claude authenticate</code> and press Enter.
            </>
          ) : (
            step
          )}
        </li>
      ))}
    </ol>
  );
}
