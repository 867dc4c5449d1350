"""A new user from the first word to a ticked list, and the goodbye.

Every step looks first whether it is done: a run that was killed is finished by the same command.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fly.access.welcome import LINK, LOGINS
from fly.client import Client
from fly.errors import AlreadyThere, JarvisError, LedgerError, PlanError
from fly.ledger import READY, Ledger, Workspace
from fly.money.accounts import FIXED, HOURLY, Accounts, Terms, cents_of
from fly.money.bill import dollars
from fly.people.checklist import ANSWERS, PAID, PROVISIONED, TERMS, WELCOMED, Checklist, Onboarding
from fly.people.letters import GOODBYE, WELCOME
from fly.people.outbox import SENT, Mail, Outbox
from fly.people.post import Post
from fly.people.sheet import read_csv
from fly.plan import Person, Plan
from fly.provision import PAGE_S, Probe, destroy, provision, wait_for_page
from fly.settings import Platform

AT_ONCE = 4
"""So many are taken in at a time: most of it is waiting for the platform."""
COLUMNS = {
    "name": ("user", "full name"),
    "email": ("e-mail", "mail", "e-mail address", "email address"),
    "plan": ("kind",),
    "fee": ("price", "amount"),
    "login": (),
}
Report = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """Who is to get a workspace, on which terms. Without a fee nothing is agreed yet."""

    person: Person
    kind: str = FIXED
    fee_cents: int | None = None
    login: str = LINK
    is_rehearsal: bool = False

    @classmethod
    def parse(cls, name: str, email: str, plan: str = "", fee: str = "", login: str = "") -> "Order":
        """*Errors*: PlanError."""
        kind, fee_cents = plan or FIXED, cents_of(fee.removeprefix("$")) if fee else None
        if kind not in (FIXED, HOURLY):
            raise PlanError(f"There is no plan {kind!r}.", hint="fixed (a month) or hourly")
        if fee_cents is not None and fee_cents < 0:
            raise PlanError("A fee can not be negative.", hint="--fee 20, in dollars")
        if (login or LINK) not in LOGINS:
            raise PlanError(
                f"There is no way to sign in called {login!r}.", hint=f"--login {', '.join(LOGINS)}"
            )
        return cls(Person(name, email), kind, fee_cents, login or LINK)


def read_orders(path: Path) -> list[Order]:
    """The orders of a CSV file, every row checked.

    *Errors*: PlanError, naming every row that makes no sense.
    """
    orders, wrong, seen = [], [], set[str]()
    for number, row in enumerate(read_csv(path, COLUMNS, ("name", "email")), 2):
        try:
            order = Order.parse(**row)
            if order.person.email.casefold() in seen:
                raise PlanError(f"{order.person.email} comes twice.")
            seen.add(order.person.email.casefold())
            orders.append(order)
        except PlanError as error:
            wrong.append(f"  row {number} ({row['name'] or row['email']}): {error}")
    if wrong:
        raise PlanError("\n".join([f"{path}: nothing was done, since", *wrong]), hint="mend these rows")
    return orders


@dataclass(frozen=True)
class Onboarder:
    """All that it takes to take people in, and to let them go."""

    client: Client
    ledger: Ledger
    accounts: Accounts
    checklist: Checklist
    outbox: Outbox
    post: Post
    draft: Callable[[Order], Plan]
    probe: Probe
    report: Report = lambda _line: None

    @property
    def platform(self) -> Platform:
        return self.client.platform

    def run(self, order: Order) -> Onboarding:
        """As far as we come: what is not ticked afterwards is still to be done.

        *Errors*: SettingsError, before anything is made; PlanError, a letter that makes no sense;
        NotInTime; those of `provision`.
        """
        if self.post.is_set_up:
            _ = self.post.mailbox
        person = order.person
        one = self.checklist.begin(
            self.ledger, self.platform.key, person.name, person.email, rehearsal=order.is_rehearsal
        )
        row = self._workspace(one, order)
        self.checklist.belongs(one.number, row.id)
        self._tick(one, PROVISIONED, row.app)
        if ANSWERS not in one.ticks:
            wait_for_page(self.client, self.probe, row.url, PAGE_S)
            self._tick(one, ANSWERS, row.url)
        self._agree(order, row)
        self._welcome(one, row)
        return self.seen(row)

    def _workspace(self, one: Onboarding, order: Order) -> Workspace:
        if one.workspace:
            return self.ledger.get(one.workspace)
        try:
            plan = self.draft(order)
            return provision(self.client, self.ledger, plan, probe=self.probe, report=self.report)
        except AlreadyThere as error:
            row = error.workspace
            if not isinstance(row, Workspace) or row.state != READY:
                raise
            self.report(f"{row.email} has {row.app} already: it is kept")
            return row

    def _agree(self, order: Order, row: Workspace) -> None:
        if order.fee_cents is None or self.accounts.terms(row.id):
            return
        self.report("noting the terms")
        since = datetime.fromisoformat(row.created_at).date()
        self.accounts.agree(Terms(row.id, since, order.kind, order.fee_cents))

    def _welcome(self, one: Onboarding, row: Workspace) -> None:
        if WELCOMED in one.ticks or not self.post.is_set_up:
            return
        self.report(f"welcoming {row.email}")
        self.post.send(self.post.put(row, WELCOME, {}))

    def seen(self, row: Workspace) -> Onboarding:
        """The checklist of a workspace, with everything ticked that can be seen to be done."""
        one = self.checklist.of(row)
        if agreed := self.accounts.terms(row.id):
            self._tick(one, TERMS, f"{agreed[-1].kind}, ${dollars(agreed[-1].fee_cents)}")
        if sent := [m for m in self.outbox.mails(row.id) if (m.template, m.state) == (WELCOME, SENT)]:
            self._tick(one, WELCOMED, f"{sent[0].to}, {sent[0].sent_at}")
        if paid := [payment for payment in self.accounts.payments(row.id) if payment.cents > 0]:
            self._tick(one, PAID, f"${dollars(paid[0].cents)} on {paid[0].paid_on}")
        return self.checklist.of(row)

    def _tick(self, one: Onboarding, item: str, detail: str) -> None:
        if item not in one.ticks:
            self.checklist.tick(one.number, item, detail)

    # --- rehearsals

    def rehearse(self, order: Order) -> Onboarding:
        """A whole onboarding, removed afterwards, whatever came of it; what an earlier one left goes first.

        *Errors*: those of `run` and `destroy`; LedgerError: the e-mail is a real user's.
        """
        self._remove_rehearsals()
        if present := self.ledger.of_email(order.person.email, self.platform.key):
            raise LedgerError(
                f"{order.person.email} has a workspace: {present[0].app}.",
                hint="--email with another address",
            )
        try:
            return self.run(order)
        finally:
            self._remove_rehearsals()

    def _remove_rehearsals(self) -> None:
        for one in self.checklist.under_way(self.ledger, self.platform.key):
            if one.is_rehearsal:
                for row in self._rows_of(one):
                    self.checklist.belongs(one.number, row.id)
                    destroy(self.client, self.ledger, row, report=self.report)

    def _rows_of(self, one: Onboarding) -> list[Workspace]:
        """A run that was killed may not have said yet which is its own; it has its e-mail to itself."""
        if one.workspace:
            return [self.ledger.get(one.workspace)]
        return self.ledger.of_email(one.email, self.platform.key)

    # --- goodbye

    def offboard(self, row: Workspace) -> Mail | None:
        """The mail that says goodbye, where there is a mail server; the workspace is gone, its row closed.

        Terms end with the workspace: nothing is charged from the day after.

        *Errors*: PlanError and SettingsError, before anything is removed; those of `destroy`.
        """
        if self.post.is_set_up:
            _ = self.post.mailbox
            self.post.letter(row, GOODBYE, {})
        destroy(self.client, self.ledger, row, report=self.report)
        if not self.post.is_set_up:
            return None
        return self.post.send(self.post.put(row, GOODBYE, {}))


Outcome = tuple[Order, Onboarding | None, str]
"""An order with what came of it: its checklist, or why there is none."""
Office = Callable[[], AbstractContextManager[Onboarder]]
"""Opens an onboarder with connections of its own: those of the ledger are for one thread each."""


def batch(office: Office, orders: Sequence[Order], report: Report) -> list[Outcome]:
    """What came of each order, in their order; several at a time. One failure stops and undoes no other.

    Ctrl-C: nobody else is begun, and those who were are finished first.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            begun = [pool.submit(_run_apart, office, order, report) for order in orders]
            return [one.result() for one in begun]
        except BaseException:
            report("finishing what is under way")
            pool.shutdown(cancel_futures=True)
            raise


def _run_apart(office: Office, order: Order, report: Report) -> Outcome:
    person = order.person
    try:
        with office() as onboarder:
            working = replace(onboarder, report=lambda line: report(f"{person.name}: {line}"))
            return order, working.run(order), ""
    except JarvisError as error:
        return order, None, str(error)
