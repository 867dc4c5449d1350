"""New users: every item ticked once, whatever dies on the way; rehearsals and goodbyes leave nothing."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fly.errors import JarvisError, LedgerError, PlanError, SettingsError
from fly.ledger import DESTROYED
from fly.money.accounts import Payment
from fly.people.checklist import ANSWERS, ITEMS, PAID, PROVISIONED, SIGNED_IN, TERMS, WELCOMED, Onboarding
from fly.people.onboard import AT_ONCE as AT_A_TIME
from fly.people.onboard import Onboarder, Order, batch, read_orders
from fly.people.outbox import PENDING, SENT, UNKNOWN
from fly.plan import Plan
from fly.record import Record
from fly.settings import Secret
from tests.support.fake_fly import Call
from tests.unit.fly.people.conftest import Office

LILACH = Order.parse("Lilach", "lilach@example.com", "fixed", "20")
AT_ONCE = [PROVISIONED, ANSWERS, TERMS, WELCOMED]
STATEMENTS = 9
"""That a whole onboarding writes: what began, its workspace, four ticks; the mail put, claimed, sent."""


class Killed(BaseException):
    """The process is gone."""


def onboard(office: Office, order: Order = LILACH) -> Onboarding:
    with office.onboarder() as onboarder:
        return onboarder.run(order)


def assert_one_of_everything(office: Office, one: Onboarding) -> None:
    assert set(one.ticks) >= {PROVISIONED, ANSWERS, TERMS}
    [row] = [row for row in office.world.rows() if row.state == "ready"]
    office.world.assert_whole(row)
    assert one.workspace == row.id
    with office.onboarder() as onboarder:
        assert [terms.fee_cents for terms in onboarder.accounts.terms(row.id)] == [2000]
    assert len(office.server.taken.mails) <= 1


def test_all_that_can_be_done_at_once_is_done_and_ticked(office: Office) -> None:
    one = onboard(office)
    assert_one_of_everything(office, one)
    assert one.open_items == [SIGNED_IN, PAID]
    assert all(tick.at and tick.who for tick in one.ticks.values())
    assert len(office.server.taken.mails) == 1


def test_the_same_words_again_change_nothing(office: Office) -> None:
    first = onboard(office)
    assert onboard(office) == first
    assert_one_of_everything(office, first)


class Death:
    """Kills the run before or after its statement of a number."""

    def __init__(self, number: int, moment: str) -> None:
        self._left, self._moment = number, moment
        self.has_come = False
        self.count = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        whole = Record._execute

        def execute(book: Record, statement: str, *values: object) -> int:
            number, self.count = self.count, self.count + 1
            if (number, self._moment) == (self._left, "before"):
                self.has_come = True
                raise Killed
            done = whole(book, statement, *values)
            if (number, self._moment) == (self._left, "after"):
                self.has_come = True
                raise Killed
            return done

        patch.setattr(Record, "_execute", execute)


def bury(office: Office) -> None:
    """What was owned by the run that died is owned by a process that is not there."""
    dead = f"{socket.gethostname()}|1|never"
    office.outbox._database.execute("UPDATE outbox SET owner = ? WHERE owner <> ''", (dead,))


def test_the_deaths_below_are_all_that_there_are(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    death = Death(-1, "before")
    with monkeypatch.context() as patch:
        death.install(patch)
        onboard(office)
    assert death.count == STATEMENTS


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(STATEMENTS))
def test_a_run_that_was_killed_is_finished_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    death = Death(number, moment)
    with monkeypatch.context() as patch:
        death.install(patch)
        with pytest.raises(Killed):
            onboard(office)
    assert death.has_come
    bury(office)
    one = onboard(office)
    assert_one_of_everything(office, one)
    [mail] = office.outbox.mails()
    if mail.state == UNKNOWN:
        assert WELCOMED in one.open_items
        mail = office.post.send(mail, again=True)
        one = onboard(office)
    assert mail.state == SENT
    assert one.open_items == [SIGNED_IN, PAID]


@pytest.mark.parametrize("path", ["/v1/apps", "/volumes", "/machines"])
def test_a_platform_that_refuses_leaves_nothing_and_the_next_run_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = type(office.world.client)
    name = {"/v1/apps": "create_app", "/volumes": "create_volume", "/machines": "create_machine"}[path]
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise PlanError("no")

        patch.setattr(client, name, refuse)
        with pytest.raises(JarvisError):
            onboard(office)
    assert office.world.fly.ours == []
    assert_one_of_everything(office, onboard(office))


def test_a_page_that_does_not_answer_is_asked_again_by_the_next_run(office: Office) -> None:
    order = LILACH
    office.world.provision(order.person)
    with office.onboarder() as onboarder, pytest.raises(JarvisError):
        replace(onboarder, probe=lambda _url: "silence").run(order)
    with office.onboarder() as onboarder:
        [begun] = onboarder.checklist.all(office.world.client.platform.key)
    assert set(begun.ticks) == {PROVISIONED}
    assert_one_of_everything(office, onboard(office))


@pytest.mark.parametrize("answer", ["451 later", "550 never"])
def test_a_mail_that_is_refused_stays_open_and_the_rest_is_done(office: Office, answer: str) -> None:
    office.server.taken.at_data.append(answer)
    one = onboard(office)
    assert one.open_items == [WELCOMED, SIGNED_IN, PAID]
    [mail] = office.outbox.mails()
    office.post.send(mail, again=mail.state != PENDING)
    assert onboard(office).open_items == [SIGNED_IN, PAID]


def test_without_a_mail_server_the_welcome_stays_open(office: Office) -> None:
    one = onboard(office.without_mail())
    assert one.open_items == [WELCOMED, SIGNED_IN, PAID]
    assert onboard(office).open_items == [SIGNED_IN, PAID]


def test_a_mail_server_that_is_written_wrongly_is_told_before_anything_is_made(office: Office) -> None:
    office.settings = replace(office.settings, smtp_url=Secret("nonsense"))
    with pytest.raises(SettingsError):
        onboard(office)
    assert office.world.rows() == []


def test_what_the_operator_sees_she_ticks_herself_once(office: Office) -> None:
    one = onboard(office)
    with office.onboarder() as onboarder:
        onboarder.checklist.tick(one.number, SIGNED_IN, "she wrote")
        [row] = office.world.rows()
        onboarder.accounts.pay(Payment(row.id, date(2026, 11, 23), 2000, "bank", "one"))
        seen = onboarder.seen(row)
        onboarder.checklist.tick(one.number, SIGNED_IN, "later")
        assert onboarder.seen(row) == seen
        with pytest.raises(LedgerError, match="no item"):
            onboarder.checklist.tick(one.number, "coffee")
    assert seen.ticks[PAID].detail == "$20.00 on 2026-11-23"
    assert seen.open_items == []
    assert set(seen.ticks) == set(ITEMS)


# --- rehearsals -----------------------------------------------------------------------------------


def test_a_rehearsal_does_everything_and_leaves_nothing(office: Office) -> None:
    with office.onboarder() as onboarder:
        one = onboarder.rehearse(replace(LILACH, is_rehearsal=True))
    assert set(one.ticks) == set(AT_ONCE)
    assert office.world.fly.ours == []
    assert [row.state for row in office.world.rows()] == [DESTROYED]
    assert len(office.server.taken.mails) == 1
    office.server.taken.mails.clear()
    assert_one_of_everything(office, onboard(office))


@pytest.mark.parametrize("number", range(STATEMENTS))
def test_a_rehearsal_that_was_killed_is_removed_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    order = replace(LILACH, is_rehearsal=True)
    with monkeypatch.context() as patch:
        Death(number, "before").install(patch)
        with pytest.raises(Killed):
            onboard(office, order)
    bury(office)
    with office.onboarder() as onboarder:
        onboarder.rehearse(order)
    assert office.world.fly.ours == []


def test_a_rehearsal_spares_a_real_user(office: Office) -> None:
    onboard(office)
    with office.onboarder() as onboarder, pytest.raises(LedgerError, match="has a workspace"):
        onboarder.rehearse(replace(LILACH, is_rehearsal=True))
    assert len(office.world.fly.ours) == 1


# --- many -----------------------------------------------------------------------------------------


def test_many_are_taken_in_and_one_failure_stops_no_other(
    office: Office, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "users.csv"
    file.write_text(
        "\ufeffE-Mail;Full name;Fee;Shoe size\nlilach@example.com;Lilach;20;38\n\ntom@example.com;Tom;;\n"
        "ana@example.com;Ana;12.50;\n",
        encoding="utf-8",
    )
    orders = read_orders(file)
    assert [(one.person.name, one.fee_cents) for one in orders] == [
        ("Lilach", 2000),
        ("Tom", None),
        ("Ana", 1250),
    ]

    @contextmanager
    def without_tom() -> Iterator[Onboarder]:
        with office.onboarder() as onboarder:
            yield replace(onboarder, draft=partial(draft, onboarder.draft))

    def draft(whole: Callable[[Order], Plan], order: Order) -> Plan:
        if order.person.name == "Tom":
            raise PlanError("not him")
        return whole(order)

    found = batch(without_tom, orders, report=lambda _line: None)
    assert [trouble for _, _, trouble in found] == ["", "not him", ""]
    again = batch(office.onboarder, orders, report=lambda _line: None)
    assert [trouble for _, _, trouble in again] == ["", "", ""]
    assert len(office.world.fly.ours) == 3
    assert len(office.server.taken.mails) == 3


def test_several_are_taken_in_at_a_time_and_told_in_the_order_of_the_file(office: Office) -> None:
    """The platform holds the first ones until as many as may are under way."""
    orders = [Order.parse(f"Person {n}", f"person{n}@example.com", "fixed", "20") for n in range(7)]
    together, met = threading.Barrier(AT_A_TIME, timeout=60), threading.Event()

    def meet(_number: int, call: Call) -> None:
        if (call.method, call.path) == ("POST", "/v1/apps") and not met.is_set():
            together.wait()
            met.set()

    office.world.fly.before = meet
    said: list[str] = []
    found = batch(office.onboarder, orders, said.append)
    assert met.is_set()
    assert [(order, trouble) for order, _, trouble in found] == [(order, "") for order in orders]
    assert [one.name for _, one, _ in found if one] == [order.person.name for order in orders]
    assert len({one.number for _, one, _ in found if one}) == len(orders)
    assert len(office.world.fly.ours) == len(office.server.taken.mails) == len(orders)
    assert all(line.startswith("Person ") for line in said)


def test_an_interrupted_batch_finishes_whom_it_began_and_begins_nobody_else(office: Office) -> None:
    orders = [Order.parse(f"Person {n}", f"person{n}@example.com", "fixed", "20") for n in range(12)]
    main = threading.main_thread().ident
    assert main is not None
    struck, heard = threading.Event(), threading.Event()

    def strike(_number: int, call: Call) -> None:
        if (call.method, call.path) == ("POST", "/v1/apps"):
            if not struck.is_set():
                struck.set()
                signal.pthread_kill(main, signal.SIGINT)
            assert heard.wait(30), "who types Ctrl-C is heard"

    def report(line: str) -> None:
        if line == "finishing what is under way":
            heard.set()

    office.world.fly.before = strike
    with pytest.raises(KeyboardInterrupt):
        batch(office.onboarder, orders, report)
    assert heard.is_set()
    rows = office.world.rows()
    assert 1 <= len(rows) < len(orders)
    assert {row.state for row in rows} == {"ready"}
    welcomes = [mail for row in rows for mail in office.outbox.mails(row.id)]
    assert [(mail.state, mail.reason) for mail in welcomes] == [("sent", "")] * len(rows)
    assert len(office.server.taken.mails) == len(rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("name\nLilach\n", "no column email"),
        ("name,email,mail\n", "two columns"),
        ("name,email\nLilach,nowhere\nTom,tom@example.com\n", "row 2"),
        ("name,email\nA,a@example.com\nB,A@example.com\n", "row 3 .*twice"),
        ("name,email,fee\nA,a@example.com,much\n", "not an amount"),
        ("name,email,fee\nA,a@example.com,-5\n", "negative"),
        ("name,email,plan\nA,a@example.com,gold\n", "no plan"),
        ("name,email,login\nA,a@example.com,eyes\n", "sign in"),
        ("name,email\n,a@example.com\n", "name is empty"),
    ],
)
def test_a_file_with_bad_rows_is_refused_whole(folder: Path, text: str, says: str) -> None:
    file = folder / "users.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=says):
        read_orders(file)


# --- goodbye --------------------------------------------------------------------------------------


def test_goodbye_removes_closes_and_tells_her_once(office: Office) -> None:
    onboard(office)
    [row] = office.world.rows()
    office.server.taken.mails.clear()
    with office.onboarder() as onboarder:
        mail = onboarder.offboard(row)
        onboarder.offboard(office.world.ledger.get(row.id))
        assert onboarder.checklist.under_way(office.world.ledger, row.platform) == []
    assert mail is not None
    assert mail.state == SENT
    assert [one["Subject"] for one in office.server.taken.mails] == ["Your workspace is closed"]
    assert office.world.fly.ours == []
    assert office.world.ledger.get(row.id).state == DESTROYED


def test_a_broken_goodbye_letter_is_told_before_anything_is_removed(office: Office, folder: Path) -> None:
    onboard(office)
    (folder / "templates").mkdir()
    (folder / "templates/goodbye.txt").write_text("Subject: {{ nothing }}\n", encoding="utf-8")
    with office.onboarder() as onboarder, pytest.raises(PlanError):
        onboarder.offboard(office.world.rows()[0])
    assert len(office.world.fly.ours) == 1


def test_somebody_who_comes_back_begins_anew(office: Office) -> None:
    first = onboard(office)
    with office.onboarder() as onboarder:
        onboarder.offboard(office.world.rows()[0])
    second = onboard(office)
    assert second.number != first.number
    assert second.open_items == [SIGNED_IN, PAID]
