"""A month with twenty users: taken in, welcomed, metered, billed, asked for money, and reconciled.

The platform is real and its machines run today; only the operator's verbs move on to the next month, by a
clock of their own. So the month is over, and what it cost is known to the millisecond from the machines' own
events.
"""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.support.clock import later_by
from tests.support.mailserver import MailServer, mail_server
from tests.support.operator import Operator

USERS = 20
FEE = Decimal(20)
PEOPLE = [(f"Person {number:02}", f"person{number:02}@example.com") for number in range(1, USERS + 1)]
SLEEPER, *_, OVERCHARGED = [email for _, email in PEOPLE]
PAYERS = [email for _, email in PEOPLE[1:3]]
ORPHAN = "nobody-knows-this-app"
CENT = Decimal("0.01")

# Fly's prices by hand, not from our list: a month has 30 days; with a shared processor come 256 MB of memory.
RUNNING_S = Decimal("0.0000008465") + Decimal("0.75") * Decimal("0.000002316")
MONTH_S = 30 * 24 * 3600
SLEEPING_S = Decimal("0.75") * Decimal("0.15") / MONTH_S
VOLUME_H = 10 * Decimal("0.15") / (30 * 24)


@dataclass(frozen=True)
class Month:
    """The one in which they came, in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, at: datetime) -> Month:
        start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(start, (start + timedelta(days=32)).replace(day=1))

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def fee(self, came: datetime) -> Decimal:
        """Of the fixed fee what falls on her days, the first one included."""
        return (FEE * (self.days - came.day + 1) / self.days).quantize(CENT, ROUND_HALF_UP)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m}"


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def operator(
    tmp_path: Path, image: str, docker_client: docker.DockerClient, mails: MailServer
) -> Iterator[Operator]:
    operator = Operator(
        tmp_path / "home",
        JARVIS_IMAGE=f"my-jarvis@{docker_client.images.get(image).id}",
        JARVIS_SMTP_URL=mails.url().reveal(),
        JARVIS_MAIL_FROM="My Jarvis <jarvis@example.com>",
        SSL_CERT_FILE=str(mails.certificate),
    )
    operator.stands_up()
    try:
        yield operator
    finally:
        operator.runs("down", "--destroy", "--keep-cache", "--yes")


@pytest.mark.timeout(400)  # twenty machines are made and removed in it
def test_a_month_of_twenty_users_is_billed_and_reconciled_to_the_cent(
    operator: Operator, mails: MailServer, tmp_path: Path
) -> None:
    """Each is welcomed once and asked for the right sum once; what Fly asks for too much is named."""
    month = Month.of(datetime.now(UTC))
    all_come(operator, mails, tmp_path / "people.csv")
    two_pay(operator)
    used = what_fly_saw(operator, month)
    after = later(operator, month.end + timedelta(days=1))
    everybody_is_billed(after, used, month)
    everybody_is_asked_once(after, mails, used, month)
    fly_is_checked(after, used, tmp_path / "fly.csv")
    who_has_not_paid_is_reminded(later(operator, month.end + timedelta(days=20)), mails)


def later(operator: Operator, at: datetime) -> Operator:
    """The same operator with the same platform, at another time."""
    then = copy.copy(operator)
    then.environment = operator.environment | later_by((at - datetime.now(UTC)).total_seconds())
    return then


def letters(mails: MailServer, word: str) -> list[str]:
    """To whom letters went with this word in their subject, in order of address."""
    return sorted(str(mail["To"]) for mail in mails.taken.mails if word in str(mail["Subject"]))


def addressed(emails: Sequence[str], found: Sequence[str]) -> bool:
    """Whether each has exactly one of them."""
    return len(found) == len(emails) and all(
        email in to for email, to in zip(sorted(emails), found, strict=True)
    )


# --- the month ------------------------------------------------------------------------------------


def all_come(operator: Operator, mails: MailServer, path: Path) -> None:
    write_csv(path, ("name", "email", "plan", "fee"), [(*person, "fixed", FEE) for person in PEOPLE])
    said = operator.runs("onboard", "--csv", str(path), "--dry-run")
    assert said.count("Would make a workspace for") == USERS
    assert operator.reads("users") == []
    assert mails.taken.mails == []

    emails = [email for _, email in PEOPLE]
    said = operator.runs("onboard", "--csv", str(path))
    assert [email for email in emails if f"{email} " not in said] == []
    assert said.count("4 of 6") == USERS
    welcomed = [str(mail["To"]) for mail in mails.taken.mails]
    assert addressed(emails, sorted(welcomed)), welcomed

    again = operator.reads("onboard", "--csv", str(path))
    assert len(mails.taken.mails) == USERS, "somebody was welcomed twice"
    done = [[item["item"] for item in one["items"] if item["done_at"]] for one in again]
    assert done == [["provisioned", "answers", "terms", "welcome"]] * USERS
    assert [one["trouble"] for one in again] == [""] * USERS


def two_pay(operator: Operator) -> None:
    for email in PAYERS:
        assert "paid $20" in operator.runs("paid", "--name", email, "--amount", "20", "--reference", email)
    assert "noted already" in operator.runs(
        "paid", "--name", email, "--amount", "20", "--reference", email
    )  # fmt: skip


@dataclass(frozen=True)
class Used:
    """What one workspace used in its month, by the platform's word."""

    app: str
    came: datetime
    running: Decimal
    sleeping: Decimal
    volume: Decimal

    @property
    def cost(self) -> Decimal:
        return self.running + self.sleeping + self.volume

    def items(self) -> list[tuple[str, Decimal]]:
        found = [("shared-cpu-1x machine", self.running), ("Stopped rootfs", self.sleeping)]
        return [(item, usd) for item, usd in [*found, ("Volume storage", self.volume)] if usd]


def what_fly_saw(operator: Operator, month: Month) -> dict[str, Used]:
    """By e-mail; one of them sleeps from now on."""
    operator.runs("suspend", "--name", SLEEPER)
    operator.runs("meter")
    about, rows = operator.reads("platform"), operator.reads("users")
    with httpx.Client(
        base_url=about["api_url"], headers={"authorization": f"Bearer {about['token']}"}, trust_env=False
    ) as http:
        machines = {
            row["email"]: http.get(f"/v1/apps/{row['app']}/machines/{row['machine_id']}").json()
            for row in rows
        }
    return {row["email"]: used(row["app"], machines[row["email"]], month) for row in rows}


def used(app: str, machine: Mapping[str, Any], month: Month) -> Used:
    ends = month.end.timestamp()
    told = {event["status"]: event["timestamp"] / 1000 for event in reversed(machine["events"])}
    slept = told.get("suspended", ends)
    came = datetime.fromisoformat(machine["created_at"])
    hours = -(-ends // 3600) - -(-came.timestamp() // 3600)
    return Used(
        app,
        came,
        running=Decimal(slept - told["starting"]) * RUNNING_S,
        sleeping=Decimal(ends - slept) * SLEEPING_S,
        volume=Decimal(hours) * VOLUME_H,
    )


def everybody_is_billed(operator: Operator, used: Mapping[str, Used], month: Month) -> None:
    """Cost, fee, payments and debt of each."""
    bills = {one["email"]: one for one in operator.reads("bill", "--month", str(month))}
    assert set(bills) == set(used)
    for email, one in bills.items():
        fee, paid = month.fee(used[email].came), FEE if email in PAYERS else Decimal(0)
        assert abs(Decimal(one["cost_usd"]) - used[email].cost) < CENT / 2, (one, used[email])
        assert [one[key] for key in ("charged_usd", "paid_usd", "owed_usd")] == [
            f"{usd:.2f}" for usd in (fee, paid, fee - paid)
        ]


def everybody_is_asked_once(
    operator: Operator, mails: MailServer, used: Mapping[str, Used], month: Month
) -> None:
    before = len(mails.taken.mails)
    assert operator.runs("invoices", "--dry-run").count("│ new ") == USERS
    operator.runs("invoices", "--send")
    asked = letters(mails, "nvoice")
    assert addressed(list(used), asked), asked
    operator.runs("invoices", "--send")
    assert len(mails.taken.mails) == before + USERS, "somebody was asked twice"
    pages = sorted((operator.home / "invoices" / str(month)).glob("*.html"))
    assert len(pages) == USERS
    fee = f"{month.fee(used[SLEEPER].came):.2f}"
    assert fee in pages[0].read_text()


def fly_is_checked(operator: Operator, used: Mapping[str, Used], path: Path) -> None:
    """Fly's invoice as it should be, after one with an orphan and with a cent too much."""
    right = [
        (one.app, item, usd.quantize(CENT, ROUND_HALF_EVEN))
        for one in used.values()
        for item, usd in one.items()
    ]
    row = next(row for row in right if row[0] == used[OVERCHARGED].app)
    off = CENT if row[2] >= used[OVERCHARGED].running else -CENT
    wrong = [(*one[:2], one[2] + off) if one is row else one for one in right]
    columns = ("App", "Description", "Amount")

    write_csv(path, columns, [*wrong, (ORPHAN, "Volume storage", Decimal("1.50"))])
    said = operator.runs("reconcile", "--invoice", str(path), status=1)
    open_ = [line for line in said.splitlines() if "differs" in line or "orphan" in line]
    assert len(open_) == 2, said
    assert any(ORPHAN in line for line in open_)
    assert any(used[OVERCHARGED].app in line for line in open_)
    assert "\n2 of " in said.replace("\r", ""), said

    write_csv(path, columns, right)
    assert "not explained" not in operator.runs("reconcile", "--invoice", str(path))


def who_has_not_paid_is_reminded(operator: Operator, mails: MailServer) -> None:
    before = len(mails.taken.mails)
    operator.runs("remind", "--yes")
    reminded = sorted(str(mail["To"]) for mail in mails.taken.mails[before:])
    late = [email for _, email in PEOPLE if email not in PAYERS]
    assert addressed(late, reminded), reminded


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
