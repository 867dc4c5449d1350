"""The Machines API as an ASGI app: JSON in, JSON out.

*Source*: Fly's OpenAPI document "Machines API" of 2026-05-07, and what the live API answers beyond it.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fly.local import asked, certificates, draft, regions, shapes, views
from fly.local.certificates import Certificates
from fly.local.docker import DockerError
from fly.local.faults import SHAPE as FAULT
from fly.local.faults import TRANSPORT, Troubled
from fly.local.logbook import page
from fly.local.machines import Guard
from fly.local.names import ulid
from fly.local.platform import Platform
from fly.local.promql import BadQuery, Series, instant, parse, ranged, seconds
from fly.local.refusal import Refusal, invalid, missing, precondition
from fly.local.state import App, Machine, Volume

log = logging.getLogger(__name__)
LONGEST_WAIT_S = 60.0
EXEC_S, LONGEST_EXEC_S = 30.0, 3600.0
WAITABLE = frozenset({"started", "stopped", "suspended", "destroyed", "failed", "settled", "created"})
NONCE = "fly-machine-lease-nonce"


def build(platform: Platform) -> ASGIApp:
    """The app, behind its token."""
    api = Api(platform)
    app = Starlette(
        routes=api.routes(),
        exception_handlers={
            Refusal: _refused,
            DockerError: _engine_failed,
            HTTPException: _not_served,
            Exception: _broken,
        },
    )
    troubled = Troubled(app, platform.faults, platform.likeness, time.monotonic)
    return Guarded(troubled, platform.token)


class Api:
    """One short method for each endpoint."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._state, self._machines, self._leases = platform.state, platform.machines, platform.leases
        self._apps, self._volumes, self._host = platform.apps, platform.volumes, platform.host
        self._certificates = Certificates(platform.state)

    def routes(self) -> list[Route]:
        app, machine, volume = "/v1/apps/{app}", "/v1/apps/{app}/machines/{id}", "/v1/apps/{app}/volumes/{id}"
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/v1/apps", self.list_apps),
            ("POST", "/v1/apps", self.create_app),
            ("GET", app, self.get_app),
            ("DELETE", app, self.delete_app),
            ("GET", f"{app}/ip_assignments", self.list_ips),
            ("POST", f"{app}/ip_assignments", self.assign_ip),
            ("DELETE", f"{app}/ip_assignments/{{ip}}", self.release_ip),
            ("GET", f"{app}/secrets", self.list_secrets),
            ("POST", f"{app}/secrets", self.set_secrets),
            ("GET", f"{app}/secrets/{{name}}", self.get_secret),
            ("POST", f"{app}/secrets/{{name}}", self.set_secret),
            ("DELETE", f"{app}/secrets/{{name}}", self.delete_secret),
            ("GET", f"{app}/certificates", self.list_certificates),
            ("POST", f"{app}/certificates/acme", self.request_certificate),
            ("POST", f"{app}/certificates/custom", self.import_certificate),
            ("GET", f"{app}/certificates/{{hostname}}", self.get_certificate),
            ("DELETE", f"{app}/certificates/{{hostname}}", self.delete_certificate),
            ("DELETE", f"{app}/certificates/{{hostname}}/acme", self.drop_acme_certificate),
            ("DELETE", f"{app}/certificates/{{hostname}}/custom", self.drop_custom_certificate),
            ("POST", f"{app}/certificates/{{hostname}}/check", self.check_certificate),
            ("GET", f"{app}/volumes", self.list_volumes),
            ("POST", f"{app}/volumes", self.create_volume),
            ("GET", volume, self.get_volume),
            ("PUT", volume, self.change_volume),
            ("DELETE", volume, self.delete_volume),
            ("PUT", f"{volume}/extend", self.extend_volume),
            ("GET", f"{volume}/snapshots", self.list_snapshots),
            ("POST", f"{volume}/snapshots", self.take_snapshot),
            ("GET", f"{app}/machines", self.list_machines),
            ("POST", f"{app}/machines", self.create_machine),
            ("GET", machine, self.get_machine),
            ("POST", machine, self.update_machine),
            ("DELETE", machine, self.destroy_machine),
            ("POST", f"{machine}/start", self.start),
            ("POST", f"{machine}/stop", self.stop),
            ("POST", f"{machine}/suspend", self.suspend),
            ("POST", f"{machine}/restart", self.restart),
            ("POST", f"{machine}/signal", self.signal),
            ("POST", f"{machine}/cordon", self.cordon),
            ("POST", f"{machine}/uncordon", self.uncordon),
            ("GET", f"{machine}/wait", self.wait),
            ("POST", f"{machine}/exec", self.exec),
            ("GET", f"{machine}/ps", self.processes),
            ("GET", f"{machine}/memory", self.memory),
            ("PUT", f"{machine}/memory", self.limit_memory),
            ("POST", f"{machine}/memory/reclaim", self.reclaim_memory),
            ("GET", f"{machine}/events", self.events),
            ("GET", f"{machine}/versions", self.versions),
            ("GET", f"{machine}/metadata", self.metadata),
            ("PUT", f"{machine}/metadata", self.put_metadata),
            ("PATCH", f"{machine}/metadata", self.patch_metadata),
            ("GET", f"{machine}/metadata/{{key}}", self.metadata_value),
            ("POST", f"{machine}/metadata/{{key}}", self.set_metadata_value),
            ("DELETE", f"{machine}/metadata/{{key}}", self.drop_metadata_value),
            ("GET", f"{machine}/lease", self.get_lease),
            ("POST", f"{machine}/lease", self.acquire_lease),
            ("DELETE", f"{machine}/lease", self.release_lease),
            ("GET", "/v1/orgs/{org}/machines", self.org_machines),
            ("GET", "/v1/orgs/{org}/volumes", self.org_volumes),
            ("GET", "/v1/platform/regions", self.regions),
            ("POST", "/v1/platform/placements", self.placements),
            ("GET", "/v1/tokens/current", self.token),
            ("POST", "/v1/tokens/authenticate", self.authenticate),
            ("GET", "/api/v1/apps/{app}/logs", self.logs),
            ("GET", "/api/v1/organizations", self.organizations),
            ("GET", "/api/v1/organizations/{org}", self.organization),
            ("POST", "/graphql", self.graphql),
            ("GET", "/_local/platform", self.platform),
            ("GET", "/_local/orphans", self.orphans),
            ("DELETE", "/_local/orphans", self.remove_orphans),
            ("GET", "/_local/faults", self.list_faults),
            ("POST", "/_local/faults", self.add_fault),
            ("DELETE", "/_local/faults", self.clear_faults),
            ("DELETE", "/_local/faults/{id}", self.clear_faults),
            ("GET", "/_local/activity", self.activities),
            ("GET", "/_local/machines/{id}/activity", self.activity),
        ]
        table += [
            (method, f"/prometheus/{{org}}/api/v1/{kind}", answer)
            for method in ("GET", "POST")
            for kind, answer in (("query", self.query), ("query_range", self.query_range))
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]

    # -- apps

    async def list_apps(self, request: Request) -> Response:
        apps = [self._app_view(app) for app in self._apps.of(request.query_params.get("org_slug"))]
        return JSONResponse({"apps": apps, "total_apps": len(apps)})

    async def create_app(self, request: Request) -> Response:
        app = await self._apps.create(await asked.body(request, shapes.APP))
        return JSONResponse(self._app_view(app), 201)

    async def get_app(self, request: Request) -> Response:
        return JSONResponse(self._app_view(self._app(request)))

    async def delete_app(self, request: Request) -> Response:
        await self._apps.delete(self._app(request))
        return Response(status_code=202)

    async def list_ips(self, request: Request) -> Response:
        return JSONResponse({"ips": [views.ip(ip) for ip in self._state.ips_of(self._app(request).name)]})

    async def assign_ip(self, request: Request) -> Response:
        assigned = self._apps.assign_ip(self._app(request), await asked.body(request, shapes.IP))
        if len(assigned) == 1:
            return JSONResponse(views.ip(assigned[0]) | {"ip_pair": None})
        pair = {"v4": assigned[0].ip, "v6": assigned[1].ip}
        return JSONResponse(views.ip(assigned[0]) | {"ip": None, "type": "egress_pair", "ip_pair": pair})

    async def release_ip(self, request: Request) -> Response:
        self._apps.release_ip(self._app(request), request.path_params["ip"])
        return Response(status_code=204)

    # -- secrets

    async def list_secrets(self, request: Request) -> Response:
        app, shown = self._app(request), asked.flag(request, "show_secrets")
        return JSONResponse({"secrets": [views.secret(n, s, shown=shown) for n, s in app.secrets.items()]})

    async def set_secrets(self, request: Request) -> Response:
        values = (await asked.body(request, shapes.SECRETS)).get("values", {})
        app = self._apps.set_secrets(self._app(request), values)
        seen = [views.secret(name, secret, shown=False) for name, secret in app.secrets.items()]
        return JSONResponse({"secrets": seen, "version": app.secrets_version, "Version": app.secrets_version})

    async def get_secret(self, request: Request) -> Response:
        app, name = self._app(request), request.path_params["name"]
        if name not in app.secrets:
            raise missing("secret")
        return JSONResponse(views.secret(name, app.secrets[name], shown=asked.flag(request, "show_secrets")))

    async def set_secret(self, request: Request) -> Response:
        body, name = await asked.body(request, shapes.SECRET), request.path_params["name"]
        if "value" not in body:
            raise invalid("body.value is required")
        app = self._apps.set_secrets(self._app(request), {name: body["value"]})
        versions = {"version": app.secrets_version, "Version": app.secrets_version}
        return JSONResponse(views.secret(name, app.secrets[name], shown=False) | versions, 201)

    async def delete_secret(self, request: Request) -> Response:
        app, name = self._app(request), request.path_params["name"]
        if name not in app.secrets:
            raise missing("secret")
        app = self._apps.set_secrets(app, {name: None})
        return JSONResponse({"version": app.secrets_version, "Version": app.secrets_version})

    # -- certificates

    async def list_certificates(self, request: Request) -> Response:
        query = request.query_params
        found = [
            one
            for one in self._certificates.of(self._app(request))
            if query.get("filter", "") in one.hostname
        ]
        rest = [one for one in found if one.hostname > query.get("cursor", "")]
        shown = rest[: asked.whole(request, "limit", 25, 1, 500)]
        return JSONResponse(
            {
                "certificates": [certificates.summary(one) for one in shown],
                "next_cursor": shown[-1].hostname if len(shown) < len(rest) else "",
                "total_count": len(found),
            }
        )

    async def request_certificate(self, request: Request) -> Response:
        app, body = self._app(request), await asked.body(request, shapes.CERTIFICATE)
        made = self._certificates.request(app, body.get("hostname", ""))
        return JSONResponse(certificates.detail(made), 201)

    async def import_certificate(self, request: Request) -> Response:
        app, body = self._app(request), await asked.body(request, shapes.CERTIFICATE)
        return JSONResponse(certificates.detail(self._certificates.import_(app, body)), 201)

    async def get_certificate(self, request: Request) -> Response:
        return JSONResponse(certificates.detail(self._certificates.found(*self._host_name(request))))

    async def check_certificate(self, request: Request) -> Response:
        return JSONResponse(certificates.checked(self._certificates.found(*self._host_name(request))))

    async def drop_acme_certificate(self, request: Request) -> Response:
        return JSONResponse(certificates.detail(self._certificates.drop_acme(*self._host_name(request))))

    async def drop_custom_certificate(self, request: Request) -> Response:
        kept = self._certificates.drop_custom(*self._host_name(request))
        return JSONResponse(certificates.detail(kept) | {"warning": ""})

    async def delete_certificate(self, request: Request) -> Response:
        self._certificates.delete(*self._host_name(request))
        return Response(status_code=204)

    def _host_name(self, request: Request) -> tuple[App, str]:
        return self._app(request), request.path_params["hostname"]

    # -- volumes

    async def list_volumes(self, request: Request) -> Response:
        return JSONResponse(
            [views.volume(volume) for volume in self._state.volumes_of(self._app(request).name)]
        )

    async def create_volume(self, request: Request) -> Response:
        app = self._app(request)
        return JSONResponse(
            views.volume(await self._volumes.create(app, await asked.body(request, shapes.VOLUME)))
        )

    async def get_volume(self, request: Request) -> Response:
        return JSONResponse(views.volume(self._volume(request)))

    async def change_volume(self, request: Request) -> Response:
        changes = await asked.body(request, shapes.VOLUME_CHANGE)
        return JSONResponse(views.volume(self._volumes.change(self._volume(request), **changes)))

    async def delete_volume(self, request: Request) -> Response:
        return JSONResponse(views.volume(await self._volumes.delete(self._volume(request))))

    async def extend_volume(self, request: Request) -> Response:
        size_gb = (await asked.body(request, shapes.EXTENSION)).get("size_gb")
        if size_gb is None:
            raise invalid("body.size_gb is required")
        volume = self._volumes.extend(self._volume(request), size_gb)
        return JSONResponse({"volume": views.volume(volume), "needs_restart": False})

    async def take_snapshot(self, request: Request) -> Response:
        taken = self._volumes.snapshot(self._volume(request))
        return JSONResponse({"Msg": {"backup": {"id": taken.id, "created_at": taken.created_at}}})

    async def list_snapshots(self, request: Request) -> Response:
        return JSONResponse([views.snapshot(s) for s in self._volumes.snapshots(self._volume(request))])

    # -- machines

    async def list_machines(self, request: Request) -> Response:
        app, query = self._app(request), request.query_params
        machines: list[Machine] = [*self._state.machines_of(app.name)]
        if asked.flag(request, "include_deleted"):
            machines += [m for m in self._state.destroyed.values() if m.app == app.name]
        wanted = {
            key.removeprefix("metadata."): value
            for key, value in query.items()
            if key.startswith("metadata.")
        }
        found = [
            m
            for m in asked.filtered(machines, request)
            if wanted.items() <= m.config.get("metadata", {}).items()
        ]
        leases = asked.flag(request, "include_leases")
        return JSONResponse([self._machine_view(machine, include_lease=leases) for machine in found])

    async def create_machine(self, request: Request) -> Response:
        app, body = self._app(request), await asked.body(request, shapes.MACHINE)
        machine = await draft.new_machine(self._state, self._host, app, body)
        self._machines.add(machine, launch=not body.get("skip_launch", False))
        if "lease_ttl" in body:
            self._leases.acquire(machine, body["lease_ttl"], "", None)
        return JSONResponse(self._machine_view(machine, nonce=True))

    async def get_machine(self, request: Request) -> Response:
        machine, leases = self._machine(request), asked.flag(request, "include_leases")
        return JSONResponse(self._machine_view(machine, include_lease=leases))

    async def update_machine(self, request: Request) -> Response:
        machine, body = self._machine(request), await asked.body(request, shapes.MACHINE)
        change = await draft.change(self._host, machine, body)
        changed = await self._machines.replace(
            machine.id,
            lambda: draft.new_version(self._state, self._app(request), self._machine(request), change),
            launch=not body.get("skip_launch", False),
            may=self._guard(request),
        )
        if "lease_ttl" in body:
            self._leases.acquire(changed, body["lease_ttl"], "", request.headers.get(NONCE))
        return JSONResponse(self._machine_view(changed, nonce=True))

    async def destroy_machine(self, request: Request) -> Response:
        force = asked.flag(request, "force") or asked.flag(request, "kill")
        await self._machines.destroy(self._machine(request).id, force=force, may=self._guard(request))
        return _ok()

    async def start(self, request: Request) -> Response:
        previous = await self._machines.start(self._machine(request).id, may=self._guard(request))
        return JSONResponse({"previous_state": previous, "migrated": False, "new_host": ""})

    async def stop(self, request: Request) -> Response:
        machine, body = self._machine(request), await asked.body(request, shapes.STOP)
        signal, timeout_s = asked.signal(body.get("signal")), asked.seconds(body.get("timeout"))
        await self._machines.stop(machine.id, signal, timeout_s, may=self._guard(request))
        return _ok()

    async def suspend(self, request: Request) -> Response:
        await self._machines.suspend(self._machine(request).id, may=self._guard(request))
        return _ok()

    async def restart(self, request: Request) -> Response:
        query, force = request.query_params, asked.flag(request, "force_stop")
        signal, timeout_s = asked.signal(query.get("signal")), asked.seconds(query.get("timeout"))
        await self._machines.restart(
            self._machine(request).id, signal, timeout_s, force=force, may=self._guard(request)
        )
        return _ok()

    async def signal(self, request: Request) -> Response:
        machine, body = self._machine(request), await asked.body(request, {"signal": shapes.Anything()})
        wanted = asked.signal(body.get("signal"))
        if wanted is None:
            raise invalid("body.signal is required")
        await self._machines.signal(machine.id, wanted)
        return _ok()

    async def cordon(self, request: Request) -> Response:
        return self._set_cordon(request, cordoned=True)

    async def uncordon(self, request: Request) -> Response:
        return self._set_cordon(request, cordoned=False)

    def _set_cordon(self, request: Request, *, cordoned: bool) -> Response:
        """At once, whatever is done with the machine: there is no turn to wait for."""
        machine = self._machine(request)
        self._guard(request)(machine)
        self._machines.amend(machine, cordoned=cordoned)
        return _ok()

    async def wait(self, request: Request) -> Response:
        query = request.query_params
        states = {s for given in query.getlist("state") for s in given.split(",") if s} or {"started"}
        if unknown := states - WAITABLE:
            raise invalid(f"state must be one of {', '.join(sorted(WAITABLE))}, not {sorted(unknown)[0]!r}")
        timeout_s = min(asked.seconds(query.get("timeout")) or LONGEST_WAIT_S, LONGEST_WAIT_S)
        instance = query.get("version") or query.get("instance_id")
        machine = self._machine(request)
        reached, after = await self._machines.wait(
            machine.id, states, instance, query.get("from_event_id"), timeout_s
        )
        version = after.instance_id if after else machine.instance_id
        events = self._state.events_of(machine.id)
        event_id = events[0].id if events else ulid()
        return JSONResponse({"ok": True, "state": reached, "version": version, "event_id": event_id})

    async def exec(self, request: Request) -> Response:
        machine, body = self._machine(request), await asked.body(request, shapes.EXEC)
        command = body.get("command") or asked.words(body.get("cmd", ""))
        if not command:
            raise invalid("body.command is required")
        limit_s = min(float(body.get("timeout") or EXEC_S), LONGEST_EXEC_S)
        result = await self._machines.exec(machine.id, command, body.get("stdin", "").encode(), limit_s)
        out, err = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
        return JSONResponse({"exit_code": result.exit_code, "exit_signal": 0, "stdout": out, "stderr": err})

    async def processes(self, request: Request) -> Response:
        seen = [views.process(row) for row in await self._host.processes(self._running(request))]
        sort_by, order = request.query_params.get("sort_by", "pid"), request.query_params.get("order", "asc")
        if sort_by not in views.process({}) or order not in {"asc", "desc"}:
            raise invalid("sort_by must name a field, and order be asc or desc")
        return JSONResponse(sorted(seen, key=lambda row: str(row[sort_by]), reverse=order == "desc"))

    async def memory(self, request: Request) -> Response:
        machine = self._running(request)
        used_mb, limit_mb = (size >> 20 for size in await self._host.memory(machine))
        return JSONResponse({"limit_mb": limit_mb, "available_mb": max(0, limit_mb - used_mb)})

    async def limit_memory(self, request: Request) -> Response:
        """Until its next start, as on Fly: the config says what it has then."""
        machine = self._running(request)
        limit_mb = (await asked.body(request, shapes.MEMORY_LIMIT)).get("limit_mb")
        if limit_mb is None or limit_mb > machine.config["guest"]["memory_mb"]:
            raise invalid(f"limit_mb must be from 64 to {machine.config['guest']['memory_mb']}")
        await self._host.limit_memory(machine, limit_mb)
        return await self.memory(request)

    async def reclaim_memory(self, request: Request) -> Response:
        """What the kernel holds for itself is given back when somebody needs it, here at any rate."""
        self._running(request)
        await asked.body(request, shapes.MEMORY_RECLAIM)
        return JSONResponse({"actual_mb": 0})

    async def events(self, request: Request) -> Response:
        limit = asked.whole(request, "limit", 20, 1, 50)
        found = self._state.events_of(self._machine(request).id)[:limit]
        return JSONResponse([views.event_seen(event) for event in found])

    async def versions(self, request: Request) -> Response:
        return JSONResponse([views.version(v) for v in self._state.versions_of(self._machine(request).id)])

    # -- metadata

    async def metadata(self, request: Request) -> Response:
        return JSONResponse(self._machine(request).config.get("metadata", {}))

    async def put_metadata(self, request: Request) -> Response:
        return await self._write_metadata(request, keep=False)

    async def patch_metadata(self, request: Request) -> Response:
        return await self._write_metadata(request, keep=True)

    async def _write_metadata(self, request: Request, *, keep: bool) -> Response:
        body = await asked.body(request, shapes.METADATA)
        if "metadata" not in body:
            raise invalid("body.metadata is required")
        machine = self._fresh(request, body)
        before = machine.config.get("metadata", {}) if keep else {}
        return self._save_metadata(machine, before | body["metadata"])

    async def metadata_value(self, request: Request) -> Response:
        metadata, key = self._machine(request).config.get("metadata", {}), request.path_params["key"]
        if key not in metadata:
            raise missing("metadata key")
        return JSONResponse({"value": metadata[key]})

    async def set_metadata_value(self, request: Request) -> Response:
        body = await asked.body(request, shapes.METADATA_VALUE)
        if "value" not in body:
            raise invalid("body.value is required")
        machine, key = self._fresh(request, body), request.path_params["key"]
        shapes.clean({key: body["value"]}, shapes.LABELS, "metadata")
        return self._save_metadata(machine, machine.config.get("metadata", {}) | {key: body["value"] or None})

    async def drop_metadata_value(self, request: Request) -> Response:
        machine = self._machine(request)
        return self._save_metadata(
            machine, machine.config.get("metadata", {}) | {request.path_params["key"]: None}
        )

    def _fresh(self, request: Request, body: Mapping[str, Any]) -> Machine:
        """The machine, unless it changed since the client last looked."""
        machine = self._machine(request)
        if body.get("machine_version") not in {None, "", machine.instance_id}:
            raise precondition(f"machine_version is stale: the machine is at {machine.instance_id}")
        if body.get("updated_at") not in {None, "", machine.updated_at}:
            raise precondition(f"updated_at is stale: the machine was last updated at {machine.updated_at}")
        return machine

    def _save_metadata(self, machine: Machine, metadata: Mapping[str, str | None]) -> Response:
        kept = {key: value for key, value in metadata.items() if value is not None}
        self._machines.amend(machine, config=machine.config | {"metadata": kept})
        return Response(status_code=204)

    # -- leases

    async def get_lease(self, request: Request) -> Response:
        return _success(views.lease(self._leases.found(self._machine(request))))

    async def acquire_lease(self, request: Request) -> Response:
        machine, body = self._machine(request), await asked.body(request, shapes.LEASE)
        ttl_s = asked.whole(request, "ttl", body.get("ttl", 0), 0, 86400 * 365)
        lease = self._leases.acquire(machine, ttl_s, body.get("description", ""), request.headers.get(NONCE))
        return _success(views.lease(lease), 201)

    async def release_lease(self, request: Request) -> Response:
        if not request.headers.get(NONCE):
            raise invalid(f"the header {NONCE} is required")
        self._leases.release(self._machine(request), request.headers.get(NONCE))
        return _success({"ok": True})

    # -- the organisation and the platform

    async def org_machines(self, request: Request) -> Response:
        mine = {app.name for app in self._apps.of(request.path_params["org"])}
        machines: list[Machine] = [m for m in self._state.machines.values() if m.app in mine]
        if asked.flag(request, "include_deleted"):
            machines += [m for m in self._state.destroyed.values() if m.app in mine]
        shown, cursor = asked.page(asked.filtered(machines, request), request)
        last = shown[-1] if shown else None
        return JSONResponse(
            {
                "machines": [views.org_machine(machine) for machine in shown],
                "next_cursor": cursor,
                "last_machine_id": last.id if last else "",
                "last_updated_at": last.updated_at if last else "",
                "error_regions": [],
            }
        )

    async def org_volumes(self, request: Request) -> Response:
        mine = {app.name for app in self._apps.of(request.path_params["org"])}
        shown, cursor = asked.page(
            asked.filtered([v for v in self._state.volumes.values() if v.app in mine], request), request
        )
        last = shown[-1] if shown else None
        return JSONResponse(
            {
                "volumes": [views.org_volume(volume) for volume in shown],
                "next_cursor": cursor,
                "last_volume_id": last.id if last else "",
                "last_updated_at": last.updated_at if last else "",
            }
        )

    async def regions(self, _request: Request) -> Response:
        return JSONResponse(views.regions(regions.NEAREST))

    async def placements(self, request: Request) -> Response:
        body = await asked.body(request, shapes.PLACEMENT)
        if not body.get("org_slug"):
            raise invalid("body.org_slug is required")
        wanted = (
            [regions.resolve(code) for code in body["region"].split(",")]
            if body.get("region")
            else [regions.NEAREST]
        )
        count = body.get("count", 1)
        return JSONResponse(
            {"Regions": [{"Region": c, "Count": count, "Concurrency": count} for c in dict.fromkeys(wanted)]}
        )

    async def token(self, _request: Request) -> Response:
        orgs = self._apps.organizations()
        about = {"token_id": "local", "user": "operator@localhost", "apps": []}
        return JSONResponse({"tokens": [about | {"organization": org, "org_slug": org} for org in orgs]})

    async def authenticate(self, request: Request) -> Response:
        """Whether a header is one that this platform takes; our tokens have no caveats to tell of."""
        header = (await asked.body(request, {"header": shapes.Text()})).get("header", "")
        if not knows(header, self._platform.token):
            raise invalid("invalid token")
        return JSONResponse([{"header": header}])

    # -- what flyctl asks beside the Machines API

    async def organizations(self, _request: Request) -> Response:
        return JSONResponse({"organizations": [views.paying(slug) for slug in self._apps.organizations()]})

    async def organization(self, request: Request) -> Response:
        if request.path_params["org"] not in self._apps.organizations():
            raise missing("organization")
        return JSONResponse({"organization": views.paying(request.path_params["org"])})

    async def graphql(self, request: Request) -> Response:
        from fly.local import graph  # noqa: PLC0415 — costs a platform's start 50 ms, and few ever ask

        question = await asked.body(request, shapes.GRAPHQL)
        return JSONResponse(await graph.answer(self._platform, question))

    async def logs(self, request: Request) -> Response:
        app, query = self._app(request), request.query_params
        instance, region = query.get("instance", ""), query.get("region", "")
        machines = [
            m
            for m in self._state.machines_of(app.name)
            if instance in {"", m.id} and region in {"", m.region}
        ]
        lines = [line for machine in machines for line in await self._host.lines(machine)]
        shown, token = page(lines, query.get("next_token", ""))
        where = {machine.id: machine.region for machine in machines}
        data = [views.log_line(line, where[line.machine]) for line in shown]
        return JSONResponse({"data": data, "meta": {"next_token": token}})

    async def platform(self, _request: Request) -> Response:
        return JSONResponse(self._platform.about())

    async def orphans(self, _request: Request) -> Response:
        return JSONResponse(await self._host.orphans())

    async def remove_orphans(self, _request: Request) -> Response:
        return JSONResponse(await self._host.remove_orphans())

    async def list_faults(self, _request: Request) -> Response:
        return JSONResponse({"faults": self._platform.faults.listed()})

    async def add_fault(self, request: Request) -> Response:
        wanted = await asked.body(request, FAULT)
        if "effect" not in wanted:
            raise invalid("body.effect is required")
        return JSONResponse(asdict(self._platform.faults.add(wanted)), 201)

    async def clear_faults(self, request: Request) -> Response:
        self._platform.faults.clear(request.path_params.get("id", ""))
        return Response(status_code=204)

    async def activity(self, request: Request) -> Response:
        machine = self._machines.found(request.path_params["id"])
        activity = await self._platform.activity(machine.id)
        return JSONResponse({"state": machine.state, **activity})

    async def activities(self, _request: Request) -> Response:
        """Of every machine, by its id."""
        machines = list(self._state.machines.values())
        told = await asyncio.gather(*(self._platform.activity(one.id) for one in machines))
        seen = zip(machines, told, strict=True)
        return JSONResponse({"machines": {one.id: {"state": one.state, **what} for one, what in seen}})

    # -- Prometheus

    async def query(self, request: Request) -> Response:
        form = await asked.form(request)
        try:
            at = asked.moment(form.get("time"))
            found = instant(parse(form.get("query", "")), self._measured(request), at)
        except BadQuery as error:
            return _bad_data(error)
        return _success({"resultType": "vector", "result": found})

    async def query_range(self, request: Request) -> Response:
        form = await asked.form(request)
        try:
            start, end = asked.moment(form.get("start")), asked.moment(form.get("end"))
            step = seconds(form.get("step", "300"))
            found = ranged(parse(form.get("query", "")), self._measured(request), start, end, step)
        except BadQuery as error:
            return _bad_data(error)
        return _success({"resultType": "matrix", "result": found})

    def _measured(self, request: Request) -> list[Series]:
        mine = {app.name for app in self._apps.of(request.path_params["org"])}
        return [one for one in self._platform.measured() if one.labels["app"] in mine]

    # -- what a request names

    def _app(self, request: Request) -> App:
        return self._apps.found(request.path_params["app"])

    def _machine(self, request: Request) -> Machine:
        app, machine = self._app(request), self._machines.found(request.path_params["id"])
        if machine.app != app.name:
            raise missing("machine")
        return machine

    def _guard(self, request: Request) -> Guard:
        """Refuses where somebody else's lease holds the machine."""
        return partial(self._leases.guard, nonce=request.headers.get(NONCE))

    def _running(self, request: Request) -> Machine:
        machine = self._machine(request)
        if machine.state != "started":
            raise precondition(f"machine not currently started: '{machine.state}'")
        return machine

    def _volume(self, request: Request) -> Volume:
        return self._volumes.found(self._app(request), request.path_params["id"])

    def _app_view(self, app: App) -> views.View:
        network = next(
            (n for n in self._state.networks.values() if (n.org, n.name) == (app.org, app.network)), None
        )
        machines, volumes = self._state.machines_of(app.name), self._state.volumes_of(app.name)
        return views.app(app, network, len(machines), len(volumes))

    def _machine_view(
        self, machine: Machine, *, nonce: bool = False, include_lease: bool = False
    ) -> views.View:
        return views.machine(
            machine,
            self._state.events_of(machine.id),
            self._machines.checks(machine),
            self._leases.of(machine),
            nonce=nonce,
            include_lease=include_lease,
        )


# -- answering


def _bad_data(error: BadQuery) -> Response:
    return JSONResponse({"status": "error", "errorType": "bad_data", "error": str(error)}, 400)


def _ok() -> Response:
    return JSONResponse({"ok": True})


def _success(data: Mapping[str, Any], code: int = 200) -> Response:
    return JSONResponse({"status": "success", "data": data}, code)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body(), error.code)


async def _engine_failed(request: Request, error: Exception) -> Response:
    """What the engine could not do is not the client's fault."""
    assert isinstance(error, DockerError)
    if error.status == 408:
        return JSONResponse({"error": f"deadline_exceeded: {error}"}, 408)
    if error.status in {404, 409}:  # the machine ended in the middle of what was asked
        return JSONResponse(precondition(str(error)).body(), 412)
    log.error("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"error": f"unavailable: {error}"}, 503)


async def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours; the server's log has its trace."""
    log.error("%s %s: %r", request.method, request.url.path, error)
    return JSONResponse({"error": "internal: the platform's log tells more", "status": "unknown"}, 500)


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{request.method} {request.url.path}: {error.detail}"}, error.status_code)


class Guarded:
    """Asks for the token, names the request, and writes one line about it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began, request_id, code = time.perf_counter(), f"{ulid()}-local", 0

        async def sending(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message["headers"], (b"fly-request-id", request_id.encode())]
            await send(message)

        connection = getattr(getattr(send, "__self__", None), "transport", None)
        scope["extensions"] = {**(scope.get("extensions") or {}), TRANSPORT: connection}
        app = self._app if self._knows(scope) else JSONResponse({"error": "invalid token"}, 401)
        await app(scope, receive, sending)
        took_ms = (time.perf_counter() - began) * 1e3
        log.info("%s %r %d %.1f ms %s", scope["method"], scope["path"], code, took_ms, request_id)

    def _knows(self, scope: Scope) -> bool:
        return knows(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"), self._token)


def knows(header: str, token: str) -> bool:
    """Whether a header of authorization carries the token."""
    kind, _, given = header.partition(" ")
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    return kind.lower() in {"bearer", "flyv1"} and same
