"""The overview as a page: words, figures and plots, put into the templates beside this file."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fly.alarm.checks import Limits, span
from fly.alarm.findings import WORDS
from fly.alarm.uptime import Uptime
from fly.dashboard import charts
from fly.dashboard.charts import Cell, Stack
from fly.dashboard.overview import DAYS, Overview, User
from fly.money.bill import dollars

FOLDER = Path(__file__).with_name("page")
_TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
LEGEND = (
    "Days are in UTC. Up is the share of the time that probes know of; what nobody looked at is grey and "
    "counts neither way. A workspace that sleeps and would be woken by a click is up. Costs are the "
    "platform's prices times what was metered."
)


def whole(seen: Overview) -> str:
    """The page."""
    return _TEMPLATES.get_template("page.html").render(_words(seen))


def fleet(seen: Overview) -> str:
    """Its changing part, which is all but the frame."""
    return _TEMPLATES.get_template("fleet.html").render(_words(seen))


def _words(seen: Overview) -> dict[str, Any]:
    return {
        "platform": seen.platform,
        "at": f"{seen.at:%Y-%m-%d %H:%M} UTC",
        "trouble": seen.trouble,
        "tiles": _tiles(seen),
        "alerts": [
            {
                "level": WORDS[one.level],
                "who": one.who,
                "what": one.what,
                "cure": one.cure,
                "since": _minute(one.since),
            }
            for one in seen.alerts
        ],
        "quiet": _quiet(seen),
        "plots": _plots(seen),
        "users": [_user(one, seen.at) for one in sorted(seen.users, key=_order)],
        "legend": LEGEND,
    }


def _quiet(seen: Overview) -> str:
    if seen.checked_at is None:
        return "Nobody has looked from outside yet: put `invoke check --mail` into cron."
    return f"All was well {span(seen.at, seen.checked_at)} ago."


def _order(user: User) -> tuple[int, str]:
    """Who needs a look comes first."""
    return -max((one.level for one in user.alerts), default=0), user.row.name.casefold()


# --- at a glance ----------------------------------------------------------------------------------


def _tile(title: str, value: str, unit: str, detail: str, spark: str = "") -> dict[str, Any]:
    return {"title": title, "value": value, "unit": unit, "detail": detail, "spark": Markup(spark)}  # noqa: S704


def _tiles(seen: Overview) -> list[dict[str, Any]]:
    return [_awake(seen), _up(seen), _cost(seen), _wakes(seen), _made(seen), _logins(seen)]


def _awake(seen: Overview) -> dict[str, Any]:
    awake = sum(one.mood == "awake" for one in seen.users)
    odd = sum(one.mood == "odd" for one in seen.users)
    asleep = sum(one.mood == "asleep" for one in seen.users)
    detail = f"{asleep} asleep, {odd} in between" if odd else f"{asleep} asleep"
    told = charts.spark(seen.hours_by_day[:-1], "Hours awake a day, all together")
    return _tile("Awake", str(awake), f"of {len(seen.users)}", detail, told)


def _up(seen: Overview) -> dict[str, Any]:
    up = seen.uptime
    shares = [one.share for one in seen.uptime_by_day]
    known = f"this month; {up.known_share:.0%} of it is known" if up.share is not None else "no probe yet"
    told = charts.spark(shares, "Uptime a day")
    return _tile("Uptime", _percent(up.share), "", known, told)


def _cost(seen: Overview) -> dict[str, Any]:
    margin = Decimal(seen.charged_cents) / 100 - seen.cost
    sums = [one + other for one, other in zip(seen.compute_by_day, seen.storage_by_day, strict=True)]
    detail = f"this month; charged ${dollars(seen.charged_cents)}, stays {_usd(margin)}"
    return _tile("Cost", _usd(seen.cost), "", detail, charts.spark(sums[:-1], "Cost a day"))


def _wakes(seen: Overview) -> dict[str, Any]:
    values = sorted(one.value for one in seen.wakes)
    if not values:
        return _tile("Wake", "–", "", "not measured: `invoke check --wake`")
    late = values[min(len(values) - 1, int(len(values) * 0.95))]
    return _tile("Wake", _ms(median(values)), "", f"median of {len(values)}; 95% within {_ms(late)}")


def _made(seen: Overview) -> dict[str, Any]:
    good, every = seen.provisioned
    took = sorted(one.seconds for one in seen.makings if one.seconds is not None)
    if not every:
        return _tile("Provisioning", "–", "", "nobody in the last 90 days")
    value = _seconds(median(took)) if took else "–"
    return _tile("Provisioning", value, "", f"median; {good} of {every} succeeded in 90 days")


def _logins(seen: Overview) -> dict[str, Any]:
    good, told = seen.connected
    value = f"{good / told:.0%}" if told else "–"
    detail = f"{good} of {told} who told" if told else "nobody has told yet"
    return _tile("Logged in to Claude", value, "", detail)


# --- plots ----------------------------------------------------------------------------------------


def _plots(seen: Overview) -> list[dict[str, Any]]:
    days = [f"{day.day} {day:%b}" for day in seen.days]
    first = seen.days[0]
    names = {user.row.id: user.row.name for user in seen.users}
    wakes = [
        (
            (one.at - first).total_seconds() / 86400,
            one.value,
            names.get(one.workspace_id, "somebody who is gone"),
        )
        for one in seen.wakes
    ]
    made = [
        ((one.at - first).total_seconds() / 86400, one.seconds, one.name)
        for one in seen.makings
        if one.seconds is not None and one.at >= first
    ]
    ups = [one.share for one in seen.uptime_by_day]
    down = [one.down_s / 60 if one.up_s + one.down_s else None for one in seen.uptime_by_day]
    return [
        _plot(
            "Cost a day",
            charts.bars(
                days,
                [Stack("running", seen.compute_by_day, "one"), Stack("kept", seen.storage_by_day, "two")],
                lambda value: f"${value:.2f}" if value < 10 else f"${value:.0f}",
                f"Cost a day over {DAYS} days, running machines and storage",
            ),
            "Nothing was metered: put `invoke meter` into cron.",
            [("one", "running"), ("two", "storage")],
        ),
        _plot(
            "Hours awake a day",
            charts.bars(
                days,
                [Stack("awake", seen.hours_by_day, "one")],
                lambda value: f"{value:.3g} h",
                "Hours awake a day",
            ),
            "Nothing was metered: put `invoke meter` into cron.",
        ),
        _plot(
            f"Minutes down a day{_lowest(ups)}",
            charts.bars(days, [Stack("down", down, "two")], lambda value: f"{value:.3g} m", "Minutes down"),
            "No minute that is known of."
            if any(ups)
            else "No probe yet: put `invoke check --mail` into cron.",
        ),
        _plot(
            "Wake: from click to page",
            charts.dots(wakes, days, _ms, f"{len(wakes)} wakes, with their median"),
            "Not measured: `invoke check --wake` wakes each sleeper once a day.",
        ),
        _plot(
            "Answer of a page that is awake",
            charts.lines(days, seen.probe_ms, _ms, "Median answer of pages that are awake, by day"),
            "No probe yet.",
        ),
        _plot(
            "Provisioning, to the first page",
            charts.dots(made, days, _seconds, f"{len(made)} workspaces made, with their median"),
            "Nobody was taken in within 30 days.",
        ),
    ]


def _plot(title: str, svg: str, nothing: str, key: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    return {"title": title, "svg": Markup(svg), "nothing": nothing, "key": key}  # noqa: S704


def _lowest(shares: Sequence[float | None]) -> str:
    known = [one for one in shares if one is not None]
    return f" (worst day {_percent(min(known))})" if known and min(known) < 1 else ""


# --- users ----------------------------------------------------------------------------------------


def _user(user: User, now: datetime) -> Mapping[str, Any]:
    worst = max((one.level for one in user.alerts), default=0)
    disk = user.disk_share
    return {
        "name": user.row.name,
        "email": user.row.email,
        "state": user.state,
        "chip": WORDS[worst] if worst else user.mood,
        "when": _when(user, now),
        "hours": f"{user.hours:.1f}",
        "cap": _cap(user),
        "cost": _usd(user.cost),
        "charged": f"${dollars(user.charged_cents)}",
        "owed": f"${dollars(user.owed_cents)}" if user.owed_cents > 0 else "",
        "disk": f"{disk:.0%}" if disk is not None else "–",
        "disk_meter": _meter(disk, Limits.disk_warning, Limits.disk_critical, "of the disk"),
        "claude": {None: "–", 1.0: "logged in", 0.0: "not yet"}[user.value("claude_ready")],
        "backup": span(now, user.backup_at) if user.backup_at else "–",
        "up": _percent(user.uptime.share),
        "strip": Markup(charts.strip(*_strip(user))),  # noqa: S704
    }


def _when(user: User, now: datetime) -> str:
    if user.alerts:
        return user.alerts[0].kind if len(user.alerts) == 1 else f"{len(user.alerts)} alerts"
    if user.mood == "awake" or user.last_awake is None:
        return ""
    return f"used {span(now, user.last_awake)} ago"


def _cap(user: User) -> Markup:
    return _meter(user.cap_share, Limits.cap_warning, 1.0, f"of {user.cap}")


def _meter(share: float | None, warning: float, critical: float, of: str) -> Markup:
    if share is None:
        return Markup("")
    style = "critical" if share >= critical else "warning" if share >= warning else ""
    width = min(100.0, share * 100)
    svg = (
        '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{told}">'
        '<title>{told}</title><rect class="{style}" width="{width}" height="8"/></svg>'
    )
    return Markup(svg).format(told=f"{share:.0%} {of}", style=style, width=f"{width:.0f}")  # noqa: S704


def _strip(user: User) -> tuple[list[Cell], str]:
    cells = []
    for number, found in enumerate(user.days):
        ago = DAYS - 1 - number
        day = "today" if ago == 0 else "yesterday" if ago == 1 else f"{ago} days ago"
        cells.append(Cell(_style(found), f"{day}: {_told(found)}"))
    return cells, f"Uptime of the last {DAYS} days, {_percent(user.uptime.share)} this month"


def _style(found: Uptime) -> str:
    if found.share is None:
        return "unknown" if found.unknown_s else "before"
    return "up" if found.down_s < 60 else "part" if found.share >= 0.95 else "down"


def _told(found: Uptime) -> str:
    if found.share is None:
        return "nobody looked" if found.unknown_s else "not there yet"
    down = f", {found.down_s / 60:.0f} min down" if found.down_s >= 60 else ""
    return f"{_percent(found.share)} up{down}"


# --- words ----------------------------------------------------------------------------------------


def _percent(share: float | None) -> str:
    """As many places as matter; what is not all is never shown as 100%."""
    if share is None:
        return "–"
    return "100%" if share == 1 else f"{min(share, 0.9999):.2%}" if share >= 0.99 else f"{share:.1%}"


def _usd(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):.2f}"


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value < 120 else f"{value / 60:.0f} min"


def _minute(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"
