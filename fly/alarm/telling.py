"""Mails to the operator about what was found: through the outbox, like every mail."""

from datetime import datetime

from fly.alarm.alerts import Alert, Alerts, Batch
from fly.alarm.findings import WORDS
from fly.people.letters import ALERT, Letter, Letters, operator_facts
from fly.people.outbox import Mail, Outbox
from fly.people.post import OPERATOR, send_to_operator
from fly.settings import Settings


def tell(settings: Settings, alerts: Alerts, outbox: Outbox, platform: str, now: datetime) -> Mail | None:
    """Mails what nobody was told yet, as one mail; None if there is nothing.

    *Errors*: SettingsError, where no mail server or address is set up: nothing is lost, the next run tells.
    """
    to = settings.alert_address
    batch = alerts.news(now)
    if batch is None:
        return None
    mail = outbox.put(OPERATOR, ALERT, f"{platform}-{batch.number}", facts_of(batch, platform), to)
    alerts.put(batch)
    return send_to_operator(settings, outbox, mail)


def preview(settings: Settings, batch: Batch, platform: str) -> Letter:
    """The letter that `tell` would send."""
    facts = operator_facts(settings.mail_from) | facts_of(batch, platform)
    return Letters(settings.templates).write(ALERT, facts)


def facts_of(batch: Batch, platform: str) -> dict[str, str]:
    """What the template says: each trouble a line, its parts divided by tabs."""
    return {
        "platform": platform,
        "headline": _headline(batch),
        "new": "\n".join(map(_line, batch.new)),
        "over": "\n".join(map(_line, batch.over)),
    }


def _headline(batch: Batch) -> str:
    """What a phone shows of a mail; a single trouble is told in full."""
    if len(batch.new) == 1 and not batch.over:
        return f"{batch.new[0].who}: {batch.new[0].what}"
    if len(batch.over) == 1 and not batch.new:
        return f"over – {batch.over[0].who}: {batch.over[0].what}"
    worst = max((one.level for one in batch.new), default=0)
    parts = [f"{len(batch.new)} new ({WORDS[worst]})"] if batch.new else []
    parts += [f"{len(batch.over)} over"] if batch.over else []
    return ", ".join(parts)


def _line(alert: Alert) -> str:
    since = f"since {alert.since[:16].replace('T', ' ')} UTC"
    until = f" to {alert.over_at[:16].replace('T', ' ')} UTC" if alert.over_at else ""
    return "\t".join((alert.who, alert.what, f"{WORDS[alert.level]}, {since}{until}", alert.cure))
