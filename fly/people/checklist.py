"""What is to be done for a new user, item by item, each ticked with its time."""

from dataclasses import dataclass

from fly.errors import LedgerError
from fly.ledger import DESTROYED, FAILED, Ledger, Workspace, who
from fly.record import Record, stamp

PROVISIONED, ANSWERS, TERMS, WELCOMED, SIGNED_IN, PAID = (
    "provisioned",
    "answers",
    "terms",
    "welcome",
    "login",
    "payment",
)
ITEMS = {
    PROVISIONED: "Workspace made",
    ANSWERS: "Page answers",
    TERMS: "Terms agreed",
    WELCOMED: "Welcome mail sent",
    SIGNED_IN: "First login seen",
    PAID: "First payment",
}
"""In their order; the last three may come days later."""


@dataclass(frozen=True)
class Tick:
    """When an item was done, by whom, and what there is to say of it."""

    at: str
    who: str
    detail: str


@dataclass(frozen=True)
class Onboarding:
    """One new user and how far we are with her. `workspace` is empty until there is one."""

    number: int
    name: str
    email: str
    is_rehearsal: bool
    workspace: str
    begun_at: str
    ticks: dict[str, Tick]

    @property
    def open_items(self) -> list[str]:
        return [item for item in ITEMS if item not in self.ticks]

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "email": self.email,
            "begun_at": self.begun_at,
            "items": [{"item": item, "done_at": self._done_at(item)} for item in ITEMS],
        }

    def _done_at(self, item: str) -> str | None:
        return self.ticks[item].at if item in self.ticks else None


class Checklist(Record):
    """The onboardings of a ledger. A tick stays."""

    CALLED = "The ledger"
    TABLES = """
    CREATE TABLE IF NOT EXISTS onboardings (
        number INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        is_rehearsal INTEGER NOT NULL,
        workspace TEXT NOT NULL DEFAULT '',
        begun_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS ticks (
        onboarding INTEGER NOT NULL REFERENCES onboardings (number),
        item TEXT NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (onboarding, item)
    ) STRICT;
    """

    def begin(self, ledger: Ledger, platform: str, name: str, email: str, *, rehearsal: bool) -> Onboarding:
        """The onboarding of this e-mail: the one under way, else a new one."""
        with self._transaction():
            for one in reversed(self.all(platform)):
                if one.email.casefold() == email.casefold() and not self._is_over(ledger, one):
                    return one
            self._execute(
                "INSERT INTO onboardings (platform, name, email, is_rehearsal, begun_at)"
                " VALUES (?, ?, ?, ?, ?)",
                *(platform, name, email, int(rehearsal), stamp()),
            )
            return self.all(platform)[-1]

    def _is_over(self, ledger: Ledger, one: Onboarding) -> bool:
        """Whether its workspace is gone."""
        return bool(one.workspace) and ledger.get(one.workspace).state in (DESTROYED, FAILED)

    def of(self, row: Workspace) -> Onboarding:
        """*Errors*: LedgerError: it came to be without one."""
        found = [one for one in self.all(row.platform) if one.workspace == row.id]
        if not found:
            raise LedgerError(
                f"{row.name} has no checklist.",
                hint=f"invoke onboard --name … --email {row.email} begins one; it keeps the workspace",
            )
        return found[-1]

    def under_way(self, ledger: Ledger, platform: str) -> list[Onboarding]:
        """Those whose workspace is not gone, oldest first."""
        return [one for one in self.all(platform) if not self._is_over(ledger, one)]

    def all(self, platform: str) -> list[Onboarding]:
        """Oldest first."""
        rows = self._rows(
            "SELECT number, name, email, is_rehearsal, workspace, begun_at FROM onboardings"
            " WHERE platform = ? ORDER BY number",
            platform,
        )
        return [
            Onboarding(number, name, email, bool(rehearsal), workspace, begun, self._ticks(number))
            for number, name, email, rehearsal, workspace, begun in rows
        ]

    def _ticks(self, number: int) -> dict[str, Tick]:
        rows = self._rows("SELECT item, at, who, detail FROM ticks WHERE onboarding = ?", number)
        return {item: Tick(*rest) for item, *rest in rows}

    def belongs(self, number: int, workspace: str) -> None:
        """Says which workspace an onboarding is about, from now on."""
        self._execute("UPDATE onboardings SET workspace = ? WHERE number = ?", workspace, number)

    def tick(self, number: int, item: str, detail: str = "") -> None:
        """An item that is ticked already keeps its time.

        *Errors*: LedgerError: no such item.
        """
        if item not in ITEMS:
            raise LedgerError(f"There is no item {item!r}.", hint=f"one of {', '.join(ITEMS)}")
        values = (number, item, stamp(), who(), detail)
        self._execute("INSERT OR IGNORE INTO ticks VALUES (?, ?, ?, ?, ?)", *values)
