import type { Settings } from "../protocol";
import { change, settings } from "../workspace";
import { Choice, Group } from "./controls";

const THEMES = {
  system: { label: "Like my device", picture: <Miniature theme="system" /> },
  light: { label: "Light", picture: <Miniature theme="light" /> },
  dark: { label: "Dark", picture: <Miniature theme="dark" /> },
} as const;

const SIZES = {
  small: { label: "Small", picture: <span class="letter small">Aa</span> },
  medium: { label: "Medium", picture: <span class="letter medium">Aa</span> },
  large: { label: "Large", picture: <span class="letter large">Aa</span> },
} as const;

export function Appearance() {
  return (
    <Group>
      <Choice
        label="Theme"
        kind="cards"
        value={settings.value.theme}
        options={THEMES}
        pick={(theme) => void change({ theme })}
      />
      <Choice
        label="Text size"
        kind="cards"
        value={settings.value.text_size}
        options={SIZES}
        pick={(text_size) => void change({ text_size })}
      />
    </Group>
  );
}

/** The page, very small. */
function Miniature({ theme }: { theme: Settings["theme"] }) {
  return (
    <svg class={`miniature ${theme}`} viewBox="0 0 120 76" aria-hidden="true">
      <Half name="light" />
      {theme !== "light" && <Half name="dark" />}
    </svg>
  );
}

function Half({ name }: { name: "light" | "dark" }) {
  return (
    <g class={name}>
      <rect class="m-ground" width="120" height="76" />
      <rect class="m-side" width="34" height="76" />
      <rect class="m-line" x="7" y="10" width="20" height="4" rx="2" />
      <rect class="m-line" x="7" y="20" width="16" height="4" rx="2" />
      <rect class="m-line" x="7" y="30" width="20" height="4" rx="2" />
      <rect class="m-bubble" x="76" y="12" width="34" height="11" rx="5.5" />
      <rect class="m-line" x="46" y="33" width="52" height="4" rx="2" />
      <rect class="m-line" x="46" y="42" width="40" height="4" rx="2" />
      <rect class="m-box" x="46" y="57" width="64" height="11" rx="5.5" />
      <circle class="m-accent" cx="104" cy="62.5" r="3.4" />
    </g>
  );
}
