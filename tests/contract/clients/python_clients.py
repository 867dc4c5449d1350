"""A machine's life through Python clients: python_clients.py API_URL TOKEN APP IMAGE. Tells it in JSON.

Neither takes the address of another platform; each keeps it in one place, which is set here.
"""

import asyncio
import importlib
import json
import sys
import time
from typing import Any


async def through_the_sdk(url: str, token: str, app_name: str, image: str) -> dict[str, Any]:
    """fly-python-sdk decodes every answer into models that refuse what they do not know."""
    org_of = importlib.import_module("fly_python_sdk.fly.org")
    models = importlib.import_module("fly_python_sdk.models.machine")
    errors = importlib.import_module("fly_python_sdk.exceptions")

    def here(one: Any) -> Any:
        one.base_url = url
        return one

    org = here(org_of.Org(token))
    await org.create_app(app_name, network="python-sdk")
    app = here(org.App(app_name))
    seen: dict[str, Any] = {"app": (await app.inspect()).organization.slug}
    try:
        seen["listed"] = app_name in [one.name for one in await org.list_apps(sort_by="network")]
        config = models.FlyMachineConfig(
            image=image, guest=models.FlyMachineConfigGuest(cpu_kind="shared"), env={"A": "1"}
        )
        made = await app.create_machine(models.FlyMachine(region="iad", config=config))
        machine = here(app.Machine(made.id))

        async def until(state: str) -> str:
            path = f"apps/{app_name}/machines/{made.id}/wait?state={state}&timeout=30"
            assert (await machine._make_api_get_request(path)).status_code == 200
            return str((await machine.inspect()).state)

        seen["states"] = [await until("started")]
        for verb, state in (("suspend", "suspended"), ("start", "started"), ("stop", "stopped")):
            told = await machine._make_api_post_request(f"apps/{app_name}/machines/{made.id}/{verb}")
            assert told.status_code == 200, told.text
            seen["states"].append(await until(state))
        seen["events"] = [event.status for event in reversed(await machine.get_events())]
        twin = await machine.clone(name="twin")
        seen["machines"] = len(await app.list_machines(ids_only=True))
        await machine.destroy()
        try:
            await here(app.Machine(twin.id)).destroy()
        except errors.FlyError as error:
            seen["refused"] = type(error).__name__
    finally:
        await app.delete()
    return seen


def through_simt(url: str, token: str, app: str, image: str) -> dict[str, Any]:
    """simt-fly-machines writes autostop as a boolean, leaves protocols out, and waits by instance id."""
    api_of = importlib.import_module("simt_fly_machines.api")

    class Api(api_of.API):  # type: ignore[name-defined,misc]
        def _uri(self, app: str, machine_id: str | None = None) -> str:
            return str(super()._uri(app, machine_id)).replace(f"https://{api_of.FLY_API_HOST}", url)

    fly = Api(token)
    made = fly.create(app, image, ["sleep", "60"], name="simt", metadata={"for": "simt"})
    at = (app, made["id"], made["instance_id"])
    seen: dict[str, Any] = {"started": fly.wait(*at, "started")["ok"]}
    seen["listed"] = [one["name"] for one in fly.list(app, ("for", "simt"))]
    seen["command"] = fly.get(*at[:2])["config"]["processes"][0]["cmd"]
    seen["autostop"] = fly.get(*at[:2])["config"]["services"][0]["autostop"]
    seen["stopped"] = [fly.stop(*at[:2])["ok"], fly.wait(*at, "stopped")["ok"]]
    seen["previous"] = fly.start(*at[:2])["previous_state"]
    fly.wait(*at, "started")
    seen["refused"] = "not currently stopped" in fly.destroy(app, machine_name="simt")["error"]
    seen["destroyed"] = fly.destroy(app, machine_name="simt", force=True)["ok"]
    while fly.list(app):
        time.sleep(0.05)
    return seen


def main(url: str, token: str, app: str, image: str) -> None:
    sdk = asyncio.run(through_the_sdk(url, token, f"{app}-sdk", image))
    sys.stdout.write(json.dumps({"sdk": sdk, "simt": through_simt(url, token, app, image)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
