"""How records look to a client: the fields that Fly answers with. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fly.local.health import CheckStatus
from fly.local.logbook import Line
from fly.local.regions import REGIONS, Region
from fly.local.state import App, Event, Ip, Lease, Machine, Network, Snapshot, Version, Volume

View = dict[str, Any]
EVENTS_IN_MACHINE = 20


def organization(slug: str) -> View:
    number = int(hashlib.sha256(slug.encode()).hexdigest()[:6], 16)
    return {"name": slug, "slug": slug, "internal_numeric_id": number}


def paying(slug: str) -> View:
    """An organisation as flyctl asks for it."""
    return organization(slug) | {
        "id": f"org_{slug}",
        "internal_numeric_id": organization(slug)["internal_numeric_id"],
        "raw_slug": slug,
        "paid_plan": True,
        "personal": slug == "personal",
        "billable": True,
        "billing_status": "CURRENT",
        "provisions_beta_extensions": False,
        "remote_builder_image": "",
    }


def app(record: App, network: Network | None, machines: int, volumes: int) -> View:
    return {
        "id": record.id,
        "name": record.name,
        "status": "deployed" if machines else "pending",
        "internal_numeric_id": record.numeric_id,
        "network": record.network,
        "network_cidr": network.subnet if network else "",
        "machine_count": machines,
        "volume_count": volumes,
        "organization": organization(record.org),
        "created_at": record.created_at,
    }


def moment(at_ms: int) -> str:
    """RFC 3339, of milliseconds since 1970."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ip(record: Ip) -> View:
    return {
        "ip": record.ip,
        "type": record.type,
        "region": record.region,
        "service_name": record.service_name,
        "shared": record.type == "shared_v4",
        "egress": record.type.startswith("egress"),
        "network": record.network,
        "created_at": record.created_at,
    }


def volume(record: Volume) -> View:
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "region": record.region,
        "zone": hashlib.sha256(record.region.encode()).hexdigest()[:4],
        "size_gb": record.size_gb,
        "encrypted": record.encrypted,
        "fstype": record.fstype,
        "type": "local",
        "attached_machine_id": record.machine,
        "attached_alloc_id": None,
        "auto_backup_enabled": record.auto_backup_enabled,
        "snapshot_retention": record.snapshot_retention,
        "created_at": record.created_at,
        "host_status": "ok",
    }


def org_volume(record: Volume) -> View:
    return volume(record) | {"app_name": record.app, "updated_at": record.updated_at}


def snapshot(record: Snapshot) -> View:
    kept = ("id", "size", "volume_size", "digest", "created_at", "status", "retention_days")
    return {name: getattr(record, name) for name in kept}


def machine(
    record: Machine,
    events: Sequence[Event] = (),
    checks: Sequence[CheckStatus] = (),
    lease: Lease | None = None,
    *,
    nonce: bool = False,
    include_lease: bool = False,
) -> View:
    """`nonce`: whether whoever asks holds the lease."""
    held = {"nonce": lease.nonce} if lease and nonce else {}
    shown = {"lease": lease_seen(lease)} if lease and include_lease else {}
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "region": record.region,
        "image_ref": record.image["ref"],
        "instance_id": record.instance_id,
        "version": record.instance_id,
        "private_ip": record.private_ip,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "config": record.config,
        "events": [event_seen(event) for event in events[:EVENTS_IN_MACHINE]],
        "checks": [asdict(check) for check in checks],
        "host_status": "ok",
        "cordoned": record.cordoned,
    } | held | shown  # fmt: skip


def org_machine(record: Machine) -> View:
    config = {key: record.config[key] for key in ("image", "guest", "metadata") if key in record.config}
    return {
        "id": record.id,
        "app_name": record.app,
        "name": record.name,
        "state": record.state,
        "region": record.region,
        "instance_id": record.instance_id,
        "version": record.instance_id,
        "private_ip": record.private_ip,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "config": config,
    }


def event_seen(record: Event) -> View:
    seen = {
        "id": record.id,
        "type": record.type,
        "status": record.status,
        "source": record.source,
        "timestamp": record.timestamp,
    }
    return seen | ({"request": record.request} if record.request else {})


def version(record: Version) -> View:
    return {"version": record.instance_id, "user_config": record.config}


def lease(record: Lease) -> View:
    return {key: getattr(record, key) for key in ("nonce", "expires_at", "owner", "description", "version")}


def lease_seen(record: Lease) -> View:
    """To those who need not hold it: everything but the nonce."""
    return {key: getattr(record, key) for key in ("expires_at", "owner", "description")}


def secret(name: str, record: View, *, shown: bool) -> View:
    seen = {
        "name": name,
        "digest": hashlib.sha256(record["value"].encode()).hexdigest()[:16],
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
    }
    return seen | ({"value": record["value"]} if shown else {})


def region(record: Region) -> View:
    return asdict(record) | {"gateway_available": True, "requires_paid_plan": False, "deprecated": False}


def regions(nearest: str) -> View:
    return {"Nearest": nearest, "Regions": [region(each) for each in REGIONS.values()]}


def log_line(line: Line, region: str) -> View:
    return {
        "id": line.id,
        "type": "log",
        "attributes": {
            "timestamp": line.at,
            "message": line.text,
            "level": "info",
            "instance": line.machine,
            "region": region,
            "meta": {"instance": line.machine, "region": region, "event": {"provider": "app"}},
        },
    }


def process(row: View) -> View:
    """*Units*: rss in bytes, times in seconds"""
    return {
        "pid": _number(row.get("PID")),
        "cpu": _number(row.get("%CPU")),
        "rss": _number(row.get("RSS")) * 1024,
        "rtime": _number(row.get("ELAPSED")),
        "stime": _number(row.get("TIME")),
        "command": row.get("COMMAND", ""),
        "directory": "",
        "listen_sockets": [],
    }


def _number(text: str | None) -> int:
    try:
        return int(float(text or 0))
    except ValueError:
        return 0
