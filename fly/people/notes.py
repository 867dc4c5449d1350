"""What the operator wants to remember of a user; only added to."""

from dataclasses import dataclass

from fly.errors import PlanError
from fly.ledger import who
from fly.record import Record, append_only, stamp

LONGEST = 4000


@dataclass(frozen=True)
class Note:
    at: str
    who: str
    text: str


class Notes(Record):
    """The notes of a ledger."""

    CALLED = "The ledger"
    TABLES = """
    CREATE TABLE IF NOT EXISTS notes (
        number INTEGER PRIMARY KEY,
        workspace TEXT NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    """ + append_only("notes")

    def add(self, workspace: str, text: str) -> None:
        """*Errors*: PlanError: empty, or too long."""
        text = text.strip()
        if not 0 < len(text) <= LONGEST:
            raise PlanError(f"A note has 1 to {LONGEST} characters.", hint='--text "pays in cash"')
        self._execute(
            "INSERT INTO notes (workspace, at, who, text) VALUES (?, ?, ?, ?)",
            workspace,
            stamp(),
            who(),
            text,
        )

    def of(self, workspace: str) -> list[Note]:
        """Oldest first."""
        rows = self._rows("SELECT at, who, text FROM notes WHERE workspace = ? ORDER BY number", workspace)
        return [Note(*row) for row in rows]
