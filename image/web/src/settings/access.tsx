// Which devices may come in, and how to shut the door.

import { useEffect, useState } from "preact/hooks";
import { leave } from "../door";
import { ask, attempt } from "../http";
import { ago } from "../parts/ago";
import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import type { Access as AccessState, Device } from "../protocol";
import { Group } from "./controls";

const WAYS: Record<AccessState["login"], string> = {
  link: "Whoever has your welcome link can sign in on a new device. Treat the link like a key.",
  password: "A new device signs in with your user name and password.",
  none: "This workspace asks nobody to sign in: whoever has its address can use it. Whoever set it up for you can change that.",
};

export function Access() {
  const [access, setAccess] = useState<AccessState | null>(null);
  const load = () => attempt(ask<AccessState>("GET", "/api/access")).then((now) => now && setAccess(now));
  useEffect(() => void load(), []);
  if (!access) return <Group>{<p class="field">Looking …</p>}</Group>;
  return (
    <>
      <Group>
        <p class="field settings-text">{WAYS[access.login]}</p>
      </Group>
      {access.login !== "none" && <Devices devices={access.devices} changed={load} />}
    </>
  );
}

function Devices({ devices, changed }: { devices: readonly Device[]; changed: () => unknown }) {
  return (
    <>
      <Group>
        <h3 class="field" id="devices-title">
          Devices that are signed in
        </h3>
        <ul class="devices" aria-labelledby="devices-title">
          {devices.map((device) => (
            <OneDevice key={device.id} device={device} changed={changed} />
          ))}
        </ul>
      </Group>
      <div class="actions">
        <button type="button" onClick={() => void signOut()}>
          Sign out here
        </button>
        <button type="button" class="danger" onClick={() => void signOutEverywhere()}>
          Sign out everywhere
        </button>
      </div>
    </>
  );
}

function OneDevice({ device, changed }: { device: Device; changed: () => unknown }) {
  const signOff = async () => {
    if ((await attempt(ask<null>("DELETE", `/api/access/devices/${device.id}`))) !== undefined) changed();
  };
  return (
    <li class="field">
      <Icon name={/phone|android|ipad/i.test(device.name) ? "phone" : "laptop"} />
      <div class="field-words">
        <span dir="auto">{device.name}</span>
        <p>{device.current ? "This device" : `Last seen ${ago(device.last_seen, new Date())}`}</p>
      </div>
      {!device.current && (
        <button type="button" class="plain" aria-label={`Sign out ${device.name}`} onClick={() => void signOff()}>
          Sign out
        </button>
      )}
    </li>
  );
}

async function signOut(): Promise<void> {
  const yes = await askHer({
    title: "Sign out here?",
    text: "To come back on this device you need your way in again. Claude goes on with what it is doing.",
    action: "Sign out",
  });
  if (yes !== null) await end("/api/access/sign-out");
}

async function signOutEverywhere(): Promise<void> {
  const yes = await askHer({
    title: "Sign out everywhere?",
    text: "All devices lose this workspace at once, this one too, and need your way in again.",
    action: "Sign out everywhere",
    isDangerous: true,
  });
  if (yes !== null) await end("/api/access/sign-out-everywhere");
}

async function end(path: string): Promise<void> {
  if ((await attempt(ask<null>("POST", path))) !== undefined) leave();
}
