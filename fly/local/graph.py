"""What clients of Fly ask by GraphQL: apps, organisations, addresses, secrets, regions, who one is.

`schema.graphql` holds what flyctl, fly-go and other people's clients ask about apps on machines. What it does
not know is refused in the words of the library.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import GraphQLError, build_schema, graphql

from fly.local import regions, views
from fly.local.docker import DockerError
from fly.local.platform import Platform
from fly.local.refusal import Refusal
from fly.local.state import App, Ip, Machine, now

SCHEMA = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
PAGE = 200
View = dict[str, Any]


async def answer(platform: Platform, asked: Mapping[str, Any]) -> View:
    """The body of the answer; whatever is wrong is in its `errors`, under code 200, as on Fly."""
    result = await graphql(
        SCHEMA,
        asked.get("query", ""),
        root_value=_Root(platform),
        variable_values=asked.get("variables"),
        operation_name=asked.get("operationName"),
    )
    return dict(result.formatted)


def _unknown(what: str) -> GraphQLError:
    return GraphQLError(f"Could not find {what}", extensions={"code": "NOT_FOUND"})


def _nodes(nodes: list[Any]) -> View:
    return {"nodes": nodes, "totalCount": len(nodes)}


class _Root:
    """One method for each field of Query and Mutation; dicts below them, callables where it costs."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._state, self._apps = platform.state, platform.apps

    # -- queries

    def app(self, _info: Any, name: str = "", internalId: str = "") -> View:  # noqa: N803 — GraphQL's names
        for app in self._apps.of(None):
            if app.name == name or (internalId and str(app.numeric_id) == internalId):
                return self._app(app)
        raise _unknown("App")

    def apps(self, _info: Any, first: int = PAGE, after: str = "", **wanted: Any) -> View:
        org = self._slug(wanted["organizationId"]) if wanted.get("organizationId") else None
        found = sorted(self._apps.of(org), key=lambda app: app.name)
        rest = [app for app in found if app.name > (after or "")]
        shown = rest[: max(1, min(first, PAGE))]
        page = {
            "hasNextPage": len(shown) < len(rest),
            "hasPreviousPage": len(rest) < len(found),
            "startCursor": shown[0].name if shown else None,
            "endCursor": shown[-1].name if shown else None,
        }
        return {"nodes": list(map(self._app, shown)), "pageInfo": page, "totalCount": len(found)}

    def appNameAvailable(self, _info: Any, name: str) -> bool:  # noqa: N802
        return name not in self._state.apps

    def latestImageDetails(self, _info: Any, image: str, **_: Any) -> View:  # noqa: N802
        raise GraphQLError(f"Unknown repository '{image.partition(':')[0]}'")

    def latestImageTag(self, _info: Any, repository: str, **_: Any) -> str:  # noqa: N802
        raise GraphQLError(f"Unknown repository '{repository}'")

    def machine(self, _info: Any, machineId: str) -> View:  # noqa: N803
        if machineId not in self._state.machines:
            raise _unknown("Machine")
        return self._machine(self._state.machines[machineId])

    def nearestRegion(self, _info: Any, **_: Any) -> View:  # noqa: N802
        return _region(regions.NEAREST)

    def organization(self, _info: Any, **wanted: Any) -> View:
        return self._organization(
            self._slug(wanted.get("id") or wanted.get("slug") or wanted.get("name") or "")
        )

    def organizations(self, _info: Any, **_: Any) -> View:
        found = [self._organization(slug) for slug in self._apps.organizations()]
        return _nodes(found) | {"pageInfo": {"hasNextPage": False, "hasPreviousPage": False}}

    def personalOrganization(self, _info: Any) -> View:  # noqa: N802
        return self._organization("personal")

    def platform(self, _info: Any) -> View:
        return {"requestRegion": regions.NEAREST, "regions": list(map(_region, regions.REGIONS))}

    def viewer(self, _info: Any) -> View:
        return {
            "__typename": "User",
            "id": "local",
            "email": "operator@localhost",
            "name": "operator",
            "enablePaidHobby": False,
        }

    def volume(self, _info: Any, id: str) -> View:  # noqa: A002
        found = self._state.volumes.get(id)
        if found is None:
            raise _unknown("Volume")
        return self._volume(found.id)

    # -- mutations

    def allocateIpAddress(self, _info: Any, input: View) -> View:  # noqa: A002, N802
        app = self._named(input["appId"])
        wanted = {key: input.get(key) or "" for key in ("type", "region", "network")}
        org = {"org_slug": self._slug(input["organizationId"])} if input.get("organizationId") else {}
        ip = _refusing(lambda: self._apps.assign_ip(app, wanted | org))[0]
        shown = None if ip.type == "shared_v4" else self._ip(ip)
        return {"app": lambda _info: self._app(app), "ipAddress": shown} | _echo(input)

    def releaseIpAddress(self, _info: Any, input: View) -> View:  # noqa: A002, N802
        address = input.get("ip") or next(
            (ip.ip for ip in self._state.ips.values() if _ip_id(ip) == input.get("ipAddressId")), ""
        )
        ip = self._state.ips.get(address)
        app = self._named(input.get("appId") or (ip.app if ip else ""))
        _refusing(lambda: self._apps.release_ip(app, address))
        return {"app": lambda _info: self._app(app)} | _echo(input)

    async def createApp(self, _info: Any, input: View) -> View:  # noqa: A002, N802
        slug = self._slug(input["organizationId"])
        wanted = {"name": input.get("name"), "network": input.get("network"), "org_slug": slug}
        try:
            app = await self._apps.create(wanted)
        except Refusal as refused:
            raise GraphQLError(refused.error) from refused
        return {"app": self._app(app)} | _echo(input)

    async def deleteApp(self, _info: Any, appId: str) -> View:  # noqa: N802, N803
        app = self._named(appId)
        await self._apps.delete(app)
        return {"organization": self._organization(app.org)}

    def setSecrets(self, _info: Any, input: View) -> View:  # noqa: A002, N802
        app = self._named(input["appId"])
        gone = dict.fromkeys(app.secrets if input.get("replaceAll") else ())
        values = gone | {secret["key"]: secret["value"] for secret in input["secrets"]}
        return self._secrets_set(app, values, input)

    def unsetSecrets(self, _info: Any, input: View) -> View:  # noqa: A002, N802
        return self._secrets_set(self._named(input["appId"]), dict.fromkeys(input["keys"]), input)

    def _secrets_set(self, app: App, values: Mapping[str, str | None], input: View) -> View:  # noqa: A002
        """Machines learn of it at their next update: no release is made of it."""
        changed = _refusing(lambda: self._apps.set_secrets(app, values))
        return {"app": lambda _info: self._app(changed), "release": None} | _echo(input)

    # -- how things look

    def _named(self, name_or_id: str) -> App:
        for app in self._apps.of(None):
            if name_or_id in {app.name, app.id}:
                return app
        raise _unknown("App")

    def _slug(self, slug_or_id: str) -> str:
        slug = slug_or_id.removeprefix("org_")
        if slug not in self._apps.organizations():
            raise _unknown("Organization")
        return slug

    def _organization(self, slug: str) -> View:
        seen = views.paying(slug)
        return {
            "id": seen["id"],
            "internalNumericId": str(seen["internal_numeric_id"]),
            "apps": lambda info: self.apps(info, organizationId=seen["id"]),
            "billable": True,
            "name": seen["name"],
            "paidPlan": True,
            "rawSlug": slug,
            "slug": slug,
            "type": "PERSONAL" if slug == "personal" else "SHARED",
            "viewerRole": "admin",
        }

    def _app(self, app: App) -> View:
        machines = self._state.machines_of(app.name)
        ips = self._state.ips_of(app.name)
        shared = [ip.ip for ip in ips if ip.type == "shared_v4"]
        public = [self._ip(ip) for ip in ips if ip.type in {"v4", "v6", "private_v6"}]
        return {
            "id": app.id,
            "internalNumericId": app.numeric_id,
            "name": app.name,
            "hostname": f"{app.name}.localhost",
            "appUrl": f"http://{app.name}.localhost",
            "cnameTarget": f"{app.name}.localhost",
            "config": {"definition": {}},
            "createdAt": views.moment(app.created_at),
            "deployed": bool(machines),
            "egressIpAddresses": _nodes([_egress(ip) for ip in ips if ip.type.startswith("egress")]),
            "image": lambda _info, ref: self._image(ref),
            "ipAddresses": _nodes(public),
            "machines": lambda _info, **_: _nodes(list(map(self._machine, machines))),
            "network": app.network,
            "organization": self._organization(app.org),
            "platformVersion": "machines",
            "regions": [_region(code) for code in dict.fromkeys(machine.region for machine in machines)],
            "releasesUnprocessed": lambda _info, **_: _nodes([]),
            "secrets": [_secret(name, secret) for name, secret in app.secrets.items()],
            "services": [],
            "sharedIpAddress": shared[0] if shared else None,
            "state": "DEPLOYED" if machines else "PENDING",
            "status": "deployed" if machines else "pending",
            "version": 0,
            "volumes": lambda _info: _nodes([self._volume(v.id) for v in self._state.volumes_of(app.name)]),
        }

    def _machine(self, machine: Machine) -> View:
        ip = {"family": "v4", "ip": machine.private_ip, "kind": "privatenet", "maskSize": 24}
        return {
            "id": machine.id,
            "app": lambda _info: self._app(self._state.apps[machine.app]),
            "config": machine.config,
            "createdAt": machine.created_at,
            "host": {"id": "local"},
            "instanceId": machine.instance_id,
            "ips": _nodes([ip]),
            "name": machine.name,
            "region": machine.region,
            "state": machine.state,
        }

    def _volume(self, volume_id: str) -> View:
        volume = self._state.volumes[volume_id]
        return {
            "id": volume.id,
            "app": lambda _info: self._app(self._state.apps[volume.app]),
            "name": volume.name,
            "region": volume.region,
            "sizeGb": volume.size_gb,
            "state": volume.state,
        }

    def _ip(self, ip: Ip) -> View:
        network = {"id": ip.network["name"], "name": ip.network["name"]} if ip.network else None
        if network and ip.network:
            network["organization"] = lambda _info: self._organization((ip.network or {})["org_slug"])
        return {
            "id": _ip_id(ip),
            "address": ip.ip,
            "createdAt": ip.created_at,
            "network": network,
            "region": ip.region,
            "serviceName": ip.service_name,
            "type": ip.type,
        }

    async def _image(self, reference: str) -> View:
        try:
            seen = await self._platform.host.engine.image(reference)
        except DockerError as error:
            raise _unknown("image") from error
        size, digest = str(seen.get("Size", 0)), str(seen["Id"])
        return {"id": digest, "compressedSizeFull": size, "digest": digest, "manifest": {}, "ref": reference}


def _refusing(act: Any) -> Any:
    """What `act` gives; Fly's words for no as an error of GraphQL's."""
    try:
        return act()
    except Refusal as refused:
        raise GraphQLError(refused.error) from refused


def _echo(input: View) -> View:  # noqa: A002
    return {"clientMutationId": input.get("clientMutationId")}


def _ip_id(ip: Ip) -> str:
    return f"ip_{ip.ip}"


def _egress(ip: Ip) -> View:
    version = 6 if ":" in ip.ip else 4
    return {
        "id": _ip_id(ip),
        "ip": ip.ip,
        "region": ip.region,
        "updatedAt": ip.created_at,
        "version": version,
    }


def _secret(name: str, record: View) -> View:
    seen = views.secret(name, record, shown=False)
    return {"id": name, "name": name, "digest": seen["digest"], "createdAt": seen.get("created_at", now())}


def _region(code: str) -> View:
    seen = views.region(regions.REGIONS[code])
    return {
        "code": seen["code"],
        "deprecated": seen["deprecated"],
        "gatewayAvailable": seen["gateway_available"],
        "latitude": seen["latitude"],
        "longitude": seen["longitude"],
        "name": seen["name"],
        "requiresPaidPlan": seen["requires_paid_plan"],
    }
