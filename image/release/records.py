"""What was proved about which image, and where it went: the record, in SQLite, only ever added to.

Every outcome is written the moment it is known, and the verdict last. Whatever kills us leaves a verification
without a verdict, and that counts as not passed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fly.errors import UntestedImage
from fly.owner import Owner
from fly.record import Record, append_only, stamp
from image.release.content import Content
from image.release.suite import Suite

PASSED = "passed"
LATEST = "latest"
COMPARED_WITH = "compared with"
EFFORTS = "efforts"
"""Under this name is kept what each stage took: `Effort`s."""

TABLES = {
    "images": "id TEXT PRIMARY KEY, at TEXT NOT NULL, facts TEXT NOT NULL",
    "verifications": """number INTEGER PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id),
        ref TEXT NOT NULL, suite TEXT NOT NULL, suite_commit TEXT NOT NULL, at TEXT NOT NULL,
        environment TEXT NOT NULL, owner TEXT NOT NULL""",
    "outcomes": """verification INTEGER NOT NULL REFERENCES verifications (number), test TEXT NOT NULL,
        tier TEXT NOT NULL, promise TEXT NOT NULL, outcome TEXT NOT NULL, seconds REAL NOT NULL,
        reason TEXT NOT NULL, PRIMARY KEY (verification, test)""",
    "figures": """verification INTEGER NOT NULL REFERENCES verifications (number), name TEXT NOT NULL,
        value REAL NOT NULL, PRIMARY KEY (verification, name)""",
    "verdicts": """verification INTEGER PRIMARY KEY REFERENCES verifications (number), at TEXT NOT NULL,
        passed INTEGER NOT NULL, seconds REAL NOT NULL, why TEXT NOT NULL""",
    "notes": """verification INTEGER NOT NULL REFERENCES verifications (number), name TEXT NOT NULL,
        content TEXT NOT NULL, PRIMARY KEY (verification, name)""",
    "pushes": """number INTEGER PRIMARY KEY, at TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id),
        verification INTEGER NOT NULL REFERENCES verifications (number), repository TEXT NOT NULL,
        digest TEXT NOT NULL, tags TEXT NOT NULL, uploaded INTEGER NOT NULL""",
    "promotions": """number INTEGER PRIMARY KEY, at TEXT NOT NULL, repository TEXT NOT NULL,
        digest TEXT NOT NULL, why TEXT NOT NULL""",
}
SCHEMA = "".join(
    f"CREATE TABLE IF NOT EXISTS {name} ({columns}) STRICT;\n{append_only(name)}"
    for name, columns in TABLES.items()
)


@dataclass(frozen=True)
class Outcome:
    """What became of one promise. `outcome` is `passed`, or anything else."""

    test: str
    tier: str
    promise: str
    outcome: str
    seconds: float
    reason: str = ""

    @property
    def is_kept(self) -> bool:
        return self.outcome == PASSED


@dataclass(frozen=True)
class Verification:
    """One run of the suite over one image. `passed` is None while there is no verdict."""

    number: int
    image: str
    ref: str
    suite: str
    suite_commit: str
    at: str
    environment: dict[str, Any]
    owner: str
    passed: bool | None
    seconds: float
    why: str

    @property
    def engine(self) -> str:
        """Which engine it ran on, as `Content.engine` names it."""
        return str(self.environment.get("engine_id", ""))

    @property
    def is_under_way(self) -> bool:
        return self.passed is None and Owner.parse(self.owner).is_alive

    @property
    def verdict(self) -> str:
        if self.passed is None:
            return "under way" if self.is_under_way else "killed"
        return "passed" if self.passed else "failed"

    def to_json(self) -> dict[str, Any]:
        shown = ("number", "image", "ref", "suite", "suite_commit", "at", "seconds", "verdict", "why")
        return {name: getattr(self, name) for name in shown} | {"environment": self.environment}


@dataclass(frozen=True)
class Push:
    """An image that is in a registry; `digest` is the manifest's, as the registry itself says."""

    number: int
    at: str
    image: str
    verification: int
    repository: str
    digest: str
    tags: tuple[str, ...]
    uploaded: int

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "tags": list(self.tags), "reference": self.reference}


@dataclass(frozen=True)
class Promotion:
    """From `at` on `latest` of the repository is this digest."""

    number: int
    at: str
    repository: str
    digest: str
    why: str


class Records(Record):
    """The record at a path.

    *Errors*: UntestedImage: what cannot be looked up has not passed.
    """

    CALLED = "The record of releases"
    HINT = "is the disk full, is the file yours? Without it nothing counts as tested"
    REFUSAL = UntestedImage
    MIGRATIONS = (SCHEMA,)

    # --- verifying --------------------------------------------------------------------------------

    def begin(self, content: Content, suite: Suite, environment: Mapping[str, Any]) -> int:
        """The number of a verification that has begun; it passes only by `conclude`."""
        self._add(
            "INSERT OR IGNORE INTO images VALUES (?, ?, ?)",
            content.id,
            stamp(),
            json.dumps(content.to_json()),
        )
        return self._add(
            "INSERT INTO verifications VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            *(content.id, content.ref, suite.sha256, suite.commit, stamp()),
            *(json.dumps({**environment, "engine_id": content.engine}), str(Owner.me())),
        )

    def note(self, verification: int, outcome: Outcome) -> None:
        """What became of one promise."""
        facts = (
            outcome.test,
            outcome.tier,
            outcome.promise,
            outcome.outcome,
            outcome.seconds,
            outcome.reason,
        )
        self._add("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)", verification, *facts)

    def measure(self, verification: int, name: str, value: float) -> None:
        """One figure; of two with one name the first counts."""
        self._add("INSERT OR IGNORE INTO figures VALUES (?, ?, ?)", verification, name, value)

    def keep(self, verification: int, name: str, content: object) -> None:
        """Something to compare the next release with, such as the list of packages."""
        self._add("INSERT OR IGNORE INTO notes VALUES (?, ?, ?)", verification, name, json.dumps(content))

    def conclude(self, verification: int, *, passed: bool, seconds: float, why: str) -> None:
        """The verdict, once and for good."""
        self._add(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)", verification, stamp(), int(passed), seconds, why
        )

    # --- releasing --------------------------------------------------------------------------------

    def pushed(
        self, proof: Verification, repository: str, digest: str, tags: Sequence[str], uploaded: int
    ) -> Push:
        """Notes that the registry has it. Where `latest` was among the tags, that is a promotion too."""
        with self._transaction():
            number = self._add(
                "INSERT INTO pushes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                *(stamp(), proof.image, proof.number, repository, digest, json.dumps(list(tags)), uploaded),
            )
            if LATEST in tags:
                self.promoted(repository, digest, "pushed")
        return next(one for one in self.pushes() if one.number == number)

    def promoted(self, repository: str, digest: str, why: str) -> None:
        """Notes that `latest` of the repository is this digest from now on."""
        self._add("INSERT INTO promotions VALUES (NULL, ?, ?, ?, ?)", stamp(), repository, digest, why)

    # --- reading ----------------------------------------------------------------------------------

    def verifications(self, image: str = "") -> list[Verification]:
        """All of them, or those of one image; the oldest first."""
        rows = self._rows(
            "SELECT v.*, d.passed, d.seconds, d.why FROM verifications v"
            " LEFT JOIN verdicts d ON d.verification = v.number"
            " WHERE ? IN ('', v.image) ORDER BY v.number",
            image,
        )
        return [_verification(row) for row in rows]

    def verification(self, number: int) -> Verification:
        return next(one for one in self.verifications() if one.number == number)

    def outcomes(self, verification: int) -> list[Outcome]:
        rows = self._rows("SELECT * FROM outcomes WHERE verification = ? ORDER BY rowid", verification)
        return [Outcome(*row[1:]) for row in rows]

    def figures(self, verification: int) -> dict[str, float]:
        rows = self._rows(
            "SELECT name, value FROM figures WHERE verification = ? ORDER BY rowid", verification
        )
        return dict(rows)

    def kept(self, verification: int, name: str) -> Any:
        """What `keep` was given; None if it was not."""
        rows = self._rows("SELECT content FROM notes WHERE verification = ? AND name = ?", verification, name)
        return json.loads(rows[0][0]) if rows else None

    def facts(self, image: str) -> dict[str, Any]:
        """What was known of an image when it was first verified: size, layers, labels."""
        rows = self._rows("SELECT facts FROM images WHERE id = ?", image)
        return dict(json.loads(rows[0][0])) if rows else {}

    def pushes(self) -> list[Push]:
        """The oldest first."""
        rows = self._rows("SELECT * FROM pushes ORDER BY number")
        return [_push(row) for row in rows]

    def promotions(self) -> list[Promotion]:
        """The oldest first."""
        return [Promotion(*row) for row in self._rows("SELECT * FROM promotions ORDER BY number")]

    def current(self, repository: str = "") -> Push | None:
        """The release that `latest` is: of this repository, or of the one that was last promoted in."""
        found = [one for one in self.promotions() if repository in ("", one.repository)]
        return self._push_of(found[-1]) if found else None

    def release_before(self, image: str, repository: str = "") -> Push | None:
        """The release that this content would follow: `latest` of the repository, or what was before itself.

        Where nothing else was ever latest in it, or no repository is meant, that of any.
        """
        for promotion in reversed(self.promotions()):
            if repository in ("", promotion.repository):
                push = self._push_of(promotion)
                if push and push.image != image:
                    return push
        return self.release_before(image) if repository else None

    def compared_with(self, verification: int) -> Verification | None:
        """The proof of the release that a verification's figures are held against."""
        number = self.kept(verification, COMPARED_WITH)
        return self.verification(number) if number else None

    def figures_before(self, verification: int) -> dict[str, float]:
        """What was measured of that release; nothing where there is none."""
        last = self.compared_with(verification)
        return self.figures(last.number) if last else {}

    def _push_of(self, promotion: Promotion) -> Push | None:
        place = (promotion.repository, promotion.digest)
        return next((one for one in reversed(self.pushes()) if (one.repository, one.digest) == place), None)

    # --- the database -----------------------------------------------------------------------------

    def _add(self, statement: str, *values: object) -> int:
        with self._explained():
            return int(self._database.execute(statement, values).lastrowid or 0)


def proofs(records: Records, engine: str = "") -> dict[str, Verification]:
    """By its id the proof of each content that has passed, whichever tests judged; the oldest first.

    The last verification of it that is over decides, on this engine or (without one) on any; one that was
    killed is over, and has not passed. Whether a content may be *released* is for `missing_proof` to say.
    """
    over = [one for one in records.verifications() if engine in ("", one.engine) and not one.is_under_way]
    last = {one.image: one for one in over}
    return {one.image: one for one in sorted(last.values(), key=lambda one: one.number) if one.passed}


def missing_proof(records: Records, content: Content, suite: Suite) -> list[str]:
    """Why this content may not be released, in sentences; nothing if it has passed the suite as it is now.

    The last verification of it by this suite on this engine decides, however it ended.
    """
    every = records.verifications(content.id)
    here = [one for one in every if one.engine == content.engine]
    if not here:
        elsewhere = "; the record tells of other engines only" if every else ""
        return [f"{content.short_id} was never verified here{elsewhere}"]
    of_this_suite = [one for one in here if one.suite == suite.sha256]
    if not of_this_suite:
        return [
            f"{content.short_id} was last verified by another version of the tests"
            f" ({here[-1].suite_commit or 'no commit'}, {here[-1].suite[:12]}); now it is {suite.version}"
        ]
    last = of_this_suite[-1]
    outcomes = records.outcomes(last.number)
    broken = [f"broken: {one.promise}" for one in outcomes if not one.is_kept]
    if last.passed is None:
        return [
            f"its last verification ({last.at[:16]}) {'is under way' if last.is_under_way else 'was killed'}"
        ]
    if last.passed and (broken or not outcomes):
        return [f"its record contradicts itself: passed, with {len(outcomes)} promises tried", *broken]
    return [] if last.passed else [last.why, *broken]


def proof(records: Records, content: Content, suite: Suite) -> Verification:
    """The verification that allows this content to be released.

    *Errors*: UntestedImage, naming what is missing.
    """
    if missing := missing_proof(records, content, suite):
        raise UntestedImage(
            f"{content.short_id} has not proved itself:\n" + "\n".join(f"  - {one}" for one in missing),
            hint="invoke verify",
        )
    return next(
        one
        for one in reversed(records.verifications(content.id))
        if (one.engine, one.suite) == (content.engine, suite.sha256)
    )


def _push(row: Any) -> Push:
    number, at, image, verification, repository, digest, tags, uploaded = row
    return Push(number, at, image, verification, repository, digest, tuple(json.loads(tags)), uploaded)


def _verification(row: Any) -> Verification:
    (number, image, ref, suite, commit, at, environment, owner, passed, seconds, why) = row
    return Verification(
        *(number, image, ref, suite, commit, at, json.loads(environment), owner),
        passed=None if passed is None else bool(passed),
        seconds=seconds or 0.0,
        why=why or "",
    )
