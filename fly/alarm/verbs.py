"""What an operator types, or cron, to know that all is well."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console
from fly.alarm import pausing
from fly.alarm.alerts import Alert, Alerts
from fly.alarm.caps import Cap, Caps, Use, uses
from fly.alarm.checks import run
from fly.alarm.facts import Fleet
from fly.alarm.findings import CRITICAL, WORDS, Finding, worst
from fly.alarm.gather import Image, Sources, changes_of, disagreements, gather, moment
from fly.alarm.pausing import PAUSE, RESUME, WAITS, WARNED, Keeper, Step
from fly.alarm.rounds import Look, go_round, uptime_of
from fly.alarm.telling import preview, tell
from fly.backup.records import Backups, confirmed
from fly.backup.throwaway import Work
from fly.backup.unsettled import settle_all
from fly.client import Client
from fly.console import say, step, verb
from fly.desk import JSON_HELP, NAME_HELP, PLATFORM_HELP, ROOT, Desk, desk
from fly.errors import ApiError, JarvisError, PlanError, SettingsError, Unreachable
from fly.ledger import READY, Ledger, Workspace
from fly.money.bill import Month
from fly.money.meter import Meter
from fly.money.verbs import accounts_of
from fly.people.outbox import FAILED, UNKNOWN, Outbox
from fly.people.post import OPERATOR, Post, send_to_operator
from fly.people.smtp import Mailbox
from fly.repair import IN_THE_MAKING, survey
from fly.repair import Finding as Difference
from fly.settings import Settings, choose_platform
from fly.watch.measured import collect
from fly.watch.samples import Samples
from image.release.records import Records

# --- check ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desktop:
    """The operator's watch: her settings, the platform that was meant, what is open beside the ledger."""

    settings: Settings
    platform_key: str
    alerts: Alerts
    outbox: Outbox


@verb(
    help={
        "mail": "mail what is new, worse or over, each once; meant for cron, every five minutes",
        "quiet": "say nothing while all is well",
        "dry_run": "show the mail that would be sent; send nothing, change nobody's machine",
        "wake": "also wake who sleeps, once a day at most, to measure how long that takes",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def check(
    context: Context,
    mail: bool = False,
    quiet: bool = False,
    dry_run: bool = False,
    wake: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Looks whether all is well with everybody; ends with 0 (yes), 1 (warnings) or 2 (critical)"""
    mails = mail and not dry_run
    doing = _Doing(wake and not dry_run, mails, is_silent=quiet or json)
    try:
        settings = Settings.read(os.environ, ROOT)
        if mails:
            Mailbox.parse(settings.smtp_url, settings.mail_from)
        now = datetime.now(UTC)
        fleet, key = _look(settings, platform, now, doing)
        findings = run(fleet)
        with Alerts(settings.ledger, key) as alerts, Outbox(settings.ledger) as outbox:
            if dry_run:
                _show_mail(settings, alerts, findings, fleet, key)
            else:
                alerts.note(findings, now, blind=bool(fleet.unreachable))
            if mails:
                _mail(Desktop(settings, key, alerts, outbox), now, quiet=quiet)
            _show(findings, alerts.lasting(), as_json=json, quiet=quiet)
    except JarvisError as error:
        # Whoever watches the exit code must not take a check that could not be made for a warning.
        raise Exit(console.explain(error), code=CRITICAL) from None
    if code := worst(findings):
        raise Exit(code=code)


@dataclass(frozen=True)
class _Doing:
    """What a look does beside looking: wakes sleepers, keeps to caps."""

    wakes: bool
    keeps_caps: bool
    is_silent: bool


def _look(settings: Settings, flag: str, now: datetime, doing: _Doing) -> tuple[Fleet, str]:
    """The fleet, and the platform that it is on; one that cannot be asked is a fact like others."""
    key = "local" if flag == "local" or not (flag or settings.token) else f"fly/{settings.org}"
    try:
        platform = choose_platform(settings, flag or None)
        if not doing.is_silent:
            say(platform.label)
        with Ledger(settings.ledger) as ledger, Client(platform) as client:
            here = Desk(settings, platform, client, ledger)
            return _fleet(here, now, doing), platform.key
    except SettingsError as error:
        if flag == "fly" or (settings.token and flag != "local"):
            raise
        return Fleet(now, (), unreachable=str(error)), key
    except (Unreachable, ApiError) as error:
        return Fleet(now, (), unreachable=str(error)), key


def _collect(here: Desk, samples: Samples, rows: Sequence[Workspace], now: datetime) -> None:
    """What the platform has measured since the last time; without it the rest is looked at all the same."""
    try:
        collect(here.client, samples, rows, now)
    except JarvisError as error:
        say(f"The platform does not tell what it has measured: {error}")


def _note_states(here: Desk, looks: Sequence[Look]) -> None:
    """Tells the meter what was seen, so that hours are known to a few minutes, not to its last reading."""
    with Meter(here.settings.meter) as meter:
        for look in looks:
            known = meter.readings(look.row.id)[-1:]
            if look.machine and known:
                seen = replace(known[0].seen, state=look.machine.state)
                meter.note(look.row.id, seen, look.at, changes_of(look))


def _keep_caps(
    here: Desk, looks: Sequence[Look], known: Mapping[str, Use], caps: Caps, now: datetime
) -> None:
    """Warns and pauses whom her cap asks for; one that resists does not stop the rest."""
    with Outbox(here.settings.ledger) as outbox:
        post = Post(here.settings, here.client, here.ledger, outbox)
        keeper = Keeper(
            here.client, here.ledger, caps, post if post.is_set_up else None, here.settings.mail_from, now
        )
        for look in looks:
            if look.machine and (use := known.get(look.row.id)):
                try:
                    step_ = keeper.keep(look.row, look.machine, use)
                except JarvisError as error:
                    say(f"The cap of {look.row.name} was not kept: {console.explain(error)}")
                else:
                    _tell(step_)


def _tell(done: Step | None) -> None:
    words = {
        WARNED: "was told that most of it is used up",
        WAITS: "has used it up, and is told as soon as she is there and no turn is under way",
        PAUSE: "has used it up: a page says so until the month turns",
        RESUME: "is back in her workspace",
    }
    if done:
        say(f"{done.row.name} ({done.cap}): {words[done.act]}.")


def _differing(here: Desk) -> list[Difference]:
    """What `invoke repair` would show, but for what is only just in the making."""
    found = [one for one in survey(here.client, here.ledger) if one.kind != IN_THE_MAKING]
    with Backups(here.settings.backups) as backups:
        work = Work(client=here.client, backups=backups)
        return [*found, *settle_all(work, here.ledger, dry_run=True)]


def _fleet(here: Desk, now: datetime, doing: _Doing) -> Fleet:
    """*Errors*: Unreachable, ApiError."""
    rows = here.ledger.workspaces(here.platform.key)
    with ExitStack() as open_:
        samples = open_.enter_context(Samples(here.settings.watch))
        caps = open_.enter_context(Caps(here.settings.ledger))
        outbox = open_.enter_context(Outbox(here.settings.ledger))
        differing = _differing(here)
        looks = go_round(here.client, rows, samples, wake=doing.wakes)
        _collect(here, samples, rows, now)
        _note_states(here, looks)
        accounts = accounts_of(here)
        images, newest = _images(here, looks)
        by_id = {one.workspace: one for one in accounts}
        known = uses(accounts, now)
        if doing.keeps_caps:
            _keep_caps(here, looks, known, caps, now)
        sources = Sources(samples, by_id, known, caps, images, confirmed(here.settings.backups))
        return Fleet(
            now=now,
            workspaces=tuple(gather(looks, sources)),
            disagreements=disagreements(differing),
            newest_claude=newest,
            mails_stuck=sum(one.state in (FAILED, UNKNOWN) for one in outbox.mails()),
            metered_at=_metered_at(here, rows),
        )


def _metered_at(here: Desk, rows: Sequence[Workspace]) -> datetime | None:
    """When the meter last read anybody."""
    with Meter(here.settings.meter) as meter:
        readings = [meter.readings(row.id)[-1:] for row in rows]
    return max((one.last_at for [one] in filter(None, readings)), default=None)


def _images(here: Desk, looks: Sequence[Look]) -> tuple[dict[str, Image], str]:
    """What is known of the images that run, and the Claude Code of the newest one that was verified."""
    references = {look.machine.image for look in looks if look.machine}
    with Records(here.settings.releases) as records:
        pushed = {push.reference: push.image for push in records.pushes()}
        found = {}
        for reference in references:
            content = pushed.get(reference) or reference.partition("@")[2]
            proofs = records.verifications(content)
            claude = records.kept(proofs[-1].number, "claude") if proofs else ""
            made = moment(_whole_microseconds(str(records.facts(content).get("created", ""))))
            found[reference] = Image(made, str(claude or ""))
        current = records.current()
        passed = [one for one in records.verifications() if one.passed]
        newest = current.verification if current else passed[-1].number if passed else 0
        return found, str(records.kept(newest, "claude") or "")


def _whole_microseconds(text: str) -> str:
    """An engine writes nanoseconds, which Python's times do not have."""
    head, dot, tail = text.partition(".")
    digits = tail.rstrip("Z")
    return f"{head}{dot}{digits[:6]}+00:00" if dot and tail.endswith("Z") else text


def _mail(post: Desktop, now: datetime, *, quiet: bool) -> None:
    """What is new, then what an earlier run could not send."""
    tried = set()
    if sent := tell(post.settings, post.alerts, post.outbox, post.platform_key, now):
        tried.add(sent.key)
        if not quiet:
            say(f"Mail to {sent.to}: {sent.facts['headline']} ({sent.state}) {sent.reason}".rstrip())
    for waiting in post.outbox.due():
        if waiting.workspace == OPERATOR and waiting.key not in tried:
            send_to_operator(post.settings, post.outbox, waiting)


def _show_mail(
    settings: Settings, alerts: Alerts, findings: Sequence[Finding], fleet: Fleet, key: str
) -> None:
    """As `--mail` would write it now, remembering nothing."""
    batch = alerts.foreseen(findings, fleet.now, blind=bool(fleet.unreachable))
    if not batch.new and not batch.over:
        say("No mail would be sent: everything that lasts was told.")
        return
    letter = preview(settings, batch, key)
    say(f"Would mail {settings.alert_mail or settings.mail_from or 'you'}: {letter.subject}")
    console.plain(letter.text)


def _show(findings: Sequence[Finding], lasting: Sequence[Alert], *, as_json: bool, quiet: bool) -> None:
    since = {one.key: one.since for one in lasting}
    if as_json:
        told = [one.to_json() | {"since": since.get(one.key, one.to_json()["since"])} for one in findings]
        console.print_json({"level": WORDS[worst(list(findings))], "findings": told})
        return
    if quiet and not findings:
        return
    console.listing(
        ("", "Who", "What", "Since", "Type"),
        [
            (WORDS[one.level], one.who, one.what, since.get(one.key, "")[:16].replace("T", " "), one.cure)
            for one in findings
        ],
        "All is well.",
    )


# --- probe ----------------------------------------------------------------------------------------


@verb(
    help={
        "name": f"{NAME_HELP} (default: everybody)",
        "wake": "also wake who sleeps, once a day at most, to measure how long that takes",
        "month": "of which uptime is told, such as 2026-11 (default: this one, up to now)",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def probe(
    context: Context,
    name: str = "",
    wake: bool = False,
    month: str = "",
    json: bool = False,
    platform: str = "",
) -> None:
    """Asks from outside whether pages answer, waking nobody, and says how much of the month they were up"""
    chosen = Month.parse(month) if month else Month.of(datetime.now(UTC))
    with desk(platform) as here, Samples(here.settings.watch) as samples:
        rows = here.chosen(name)
        with step("Asking from outside"):
            looks = go_round(here.client, rows, samples, wake=wake)
        told = [_told(samples, look, chosen) for look in looks]
    if json:
        console.print_json(told)
    else:
        _show_looks(looks, told, chosen)
    if any(look.trouble for look in looks):
        raise Exit("Not every page answers.\n  Try: invoke check", code=2)


def _told(samples: Samples, look: Look, month: Month) -> dict[str, Any]:
    """What programs read of a look: uptime as a share of the time that is known."""
    found = uptime_of(samples, look.row.id, *span_of(look.row, month))
    return {
        "name": look.row.name,
        "app": look.row.app,
        "state": look.machine.state if look.machine else "gone",
        "ok": not look.trouble,
        "trouble": look.trouble,
        "probe_ms": look.ms,
        "wake_ms": look.wake_ms,
        "certificate_until": look.certificate_until.isoformat() if look.certificate_until else None,
        "uptime": found.share,
        "known": found.known_share,
        "down_s": found.down_s,
    }


def span_of(row: Workspace, month: Month) -> tuple[datetime, datetime]:
    """The part of a month in which a workspace was there already."""
    born = moment(row.created_at) or month.start
    end = min(month.end, datetime.now(UTC))
    return min(max(month.start, born), end), end


def _show_looks(looks: Sequence[Look], told: Sequence[dict[str, Any]], month: Month) -> None:
    console.listing(
        ("Name", "State", "Answers", "Took", "Woke in", f"Up in {month}", "Known"),
        [
            (
                look.row.name,
                one["state"],
                look.trouble or "yes",
                f"{look.ms:.0f} ms" if look.ms is not None else "",
                f"{look.wake_ms:.0f} ms" if look.wake_ms is not None else "",
                f"{one['uptime']:.3%}" if one["uptime"] is not None else "unknown",
                f"{one['known']:.0%}",
            )
            for look, one in zip(looks, told, strict=True)
        ],
        "Nobody yet: invoke provision --name … --email …",
    )


# --- caps -----------------------------------------------------------------------------------------


@verb(
    help={
        "name": f"{NAME_HELP} (default: everybody, as a table)",
        "hours": "so many hours awake a month",
        "usd": "so many dollars of cost a month",
        "none": "take her cap away",
        "lift": "let her go on for the rest of this month",
        "json": JSON_HELP,
        "platform": PLATFORM_HELP,
    }
)
def cap(
    context: Context,
    name: str = "",
    hours: str = "",
    usd: str = "",
    none: bool = False,
    lift: bool = False,
    json: bool = False,
    platform: str = "",
) -> None:
    """Caps how much of a month a user may use, lifts that, or shows how much of it is used up"""
    wanted = Cap.parse(hours, usd) if hours or usd else None
    if (wanted or none or lift) and not name:
        console.require(name=name)
    if bool(wanted) + none + lift > 1:
        raise PlanError("One thing at a time.", hint="--hours, --usd, --none or --lift")
    with desk(platform) as here, Caps(here.settings.ledger) as caps:
        rows = [row for row in here.chosen(name) if name or row.state == READY]
        known = uses(accounts_of(here), datetime.now(UTC))
        if wanted or none:
            caps.set(rows[0].id, wanted)
            say(f"{rows[0].name}: {wanted or 'no cap'}. `invoke check --mail` keeps to it.")
        if none or lift:
            _lift(here, caps, rows[0], known, for_good=none)
        _show_caps(rows, caps, known, as_json=json)


def _lift(here: Desk, caps: Caps, row: Workspace, known: Mapping[str, Use], *, for_good: bool) -> None:
    keeper = Keeper(here.client, here.ledger, caps, None, here.settings.mail_from, datetime.now(UTC))
    with step(f"Letting {row.name} go on"):
        was_paused = pausing.lift(keeper, row, known[row.id])
    if was_paused:
        say(f"{row.name} is back in her workspace.")
    elif not for_good:
        say(f"{row.name} may go on until the month turns.")


def _show_caps(rows: Sequence[Workspace], caps: Caps, known: Mapping[str, Use], *, as_json: bool) -> None:
    told = [_cap_of(row, caps, known[row.id]) for row in rows if row.id in known]
    if as_json:
        console.print_json(told)
        return
    console.listing(
        ("Name", "Cap", "Used up", "Hours", "Cost", "This month"),
        [
            (
                str(one["name"]),
                str(one["cap"] or "none"),
                f"{one['share']:.0%}" if one["share"] is not None else "",
                f"{float(one['hours']):.1f}",
                f"${float(one['usd']):.2f}",
                "lifted" if one["lifted"] else "",
            )
            for one in told
        ],
        "Nobody yet: invoke provision --name … --email …",
    )


def _cap_of(row: Workspace, caps: Caps, use: Use) -> dict[str, Any]:
    found = caps.of(row.id)
    return {
        "name": row.name,
        "app": row.app,
        "month": str(use.month),
        "cap": str(found) if found else None,
        "share": found.share(use.hours, use.usd) if found else None,
        "hours": f"{use.hours:.4f}",
        "usd": f"{use.usd:.4f}",
        "lifted": caps.is_lifted(row.id, use.month),
    }
