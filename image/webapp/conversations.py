"""All conversations, newest first: an index over the transcripts on the disk, which stay the record.

The index is a cache: a file that grew is read on from where it stopped, a file that is gone is gone.
Only titles of conversations that have no transcript yet live nowhere else.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webapp.attachments import mentioned
from webapp.board import Item
from webapp.copying import COPYING
from webapp.draft import draft_of, drafts_in
from webapp.journal import Journal, Usage
from webapp.transcript import NOT_SPOKEN, command, prompt_of, said

log = logging.getLogger("webapp")

KEPT_DELETED_S = 30 * 24 * 3600
LONGEST_TITLE = 80
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RECORDS = TRANSCRIPT, JOURNAL = "transcript.jsonl", "journal.jsonl"
"""How they are called where deleted conversations lie."""
BEGUN = ".begun"
"""What ends the name of a folder that a deletion is still filling."""
LONGEST_SNIPPET, SNIPPET_BEFORE = 120, 50
MOST_TERMS = 10
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')

_VERSION = 4
_SCHEMA = """
create table if not exists conversation (
    id text primary key, source text, mtime integer, read integer,
    given_title text, first_prompt text, updated_at text, journal integer, about text
) without rowid;
create index if not exists newest on conversation (updated_at desc);
create table if not exists spoken (id text, kind text, folded text, words text);
create index if not exists said_in on spoken (id, kind);
"""
SAID, CUT_OFF, TITLE = "said", "cut off", "title"
"""What kinds of words can be found: `said` grows, the others are replaced."""
_SPOKEN_TOGETHER = 32_000
"""Characters of a conversation in one row: few rows to look through, and none that is large to write."""
_LISTED = "select id from conversation where first_prompt <> '' {found} order by updated_at desc, id"
_FOUND = """and (
    exists (select 1 from spoken where spoken.id = conversation.id and instr(folded, ?) > 0)
    or id in (select value from json_each(?))
)"""
_AROUND = """
select substr(words, max(1, instr(folded, :term) - :before), :longest), instr(folded, :term) <= :before + 1
from spoken where id = :id and kind = :kind and instr(folded, :term) > 0 order by rowid limit 1
"""


@dataclass(frozen=True)
class Summary:
    """A conversation in the list."""

    id: str
    title: str
    updated_at: str
    about: dict[str, Any] = field(default_factory=lambda: about(None))
    snippet: str | None = None
    """Of what was searched for, the words around it."""

    def json(self, turn: str = "idle") -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "updated_at": self.updated_at,
            "turn": turn,
            "archived": False,
            **self.about,
            **({} if self.snippet is None else {"snippet": self.snippet}),
        }


@dataclass(frozen=True)
class Deleted:
    """A conversation that can be restored until then."""

    summary: Summary
    deleted_at: str
    until: str

    def json(self) -> dict[str, Any]:
        return {**self.summary.json(), "deleted_at": self.deleted_at, "until": self.until}


def about(journal: Journal | None) -> dict[str, Any]:
    """What the list shows of a conversation's journal."""
    if journal is None:
        return {**_NOTHING_CHOSEN, "forked_from": None, "usage": asdict(Usage())}
    return {
        **asdict(journal.choices),
        "forked_from": journal.forked_from,
        "usage": asdict(journal.usage),
    }


_NOTHING_CHOSEN = {"model": None, "effort": None, "permission_mode": None}


@dataclass
class _Row:
    id: str
    source: str = ""
    mtime: int = 0
    read: int = 0
    given_title: str = ""
    first_prompt: str = ""
    updated_at: str = ""
    journal: int = 0
    about: str = ""

    def summary(self) -> Summary:
        title = self.given_title or title_of(self.first_prompt)
        return Summary(self.id, title, self.updated_at, json.loads(self.about) if self.about else about(None))


def title_of(text: str) -> str:
    """A conversation's title, from its first words."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1].rstrip() + "…"


class Index:
    """Synchronous, for threads; every method may be called from several at once."""

    def __init__(self, transcripts: Path, state: Path) -> None:
        self._transcripts = transcripts
        self._journals = state / "chat"
        self._deleted = state / "deleted"
        self._file = state / "conversations.sqlite"
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None
        self._buried: dict[tuple[float, Path], Summary] = {}
        """What was deleted when, and read from there: that changes no more."""

    def transcript_path(self, conversation: str) -> Path:
        return self._transcripts / f"{conversation}.jsonl"

    def journal_path(self, conversation: str) -> Path:
        return self._journals / f"{conversation}.jsonl"

    def listed(self, limit: int, offset: int, query: str) -> tuple[list[Summary], int]:
        """A page of the list, and how many there are."""
        terms = terms_of(query)
        with self._lock:
            self._refresh()
            found = self._found(terms)
            page = [self._row(one).summary() for one in found[offset : offset + limit]]
            if terms:
                page = [replace(one, snippet=self._snippet(one.id, terms)) for one in page]
            return page, len(found)

    def _found(self, terms: Sequence[str]) -> list[str]:
        """The conversations in which all of these were said, newest first."""
        # The longest is the rarest, as a rule: the others are looked for where that is.
        asked = [one for term in sorted(terms, key=len, reverse=True) for one in (term, self._drafted(term))]
        rows = self._db.execute(_LISTED.format(found=_FOUND * len(terms)), asked)
        return [conversation for (conversation,) in rows]

    def _snippet(self, conversation: str, terms: Sequence[str]) -> str:
        """The words around the first of the terms, on one line."""
        sizes = {"before": SNIPPET_BEFORE, "longest": SNIPPET_BEFORE + LONGEST_SNIPPET}
        for term, kind in itertools.product(terms, (SAID, CUT_OFF, TITLE)):
            asked = {"id": conversation, "term": term, "kind": kind, **sizes}
            if found := self._db.execute(_AROUND, asked).fetchone():
                return _on_one_line(*found)
        return ""

    def get(self, conversation: str) -> Summary | None:
        with self._lock:
            self._refresh()
            row = self._row(conversation)
            return row.summary() if row.first_prompt else None

    def rename(self, conversation: str, title: str) -> Summary | None:
        """Writes the title as Claude Code does: the last one in the transcript counts."""
        with self._lock:
            self._refresh()
            row = self._row(conversation)
            if not row.first_prompt:
                return None
            path = self.transcript_path(conversation)
            if path.exists():
                _append(path, {"type": "custom-title", "customTitle": title, "sessionId": conversation})
            row.given_title = title
            with self._db:
                self._save(row)
                self._keep_words(conversation, TITLE, title)
            return row.summary()

    def delete(self, conversation: str) -> bool:
        """Puts the conversation where `restore` finds it; False if there is none."""
        with self._lock:
            if not self.get(conversation):
                return False
            self._bury(conversation)
            self._refresh()
            return True

    def _bury(self, conversation: str) -> None:
        """All of it to one place, which is there when nothing is missing from it."""
        begun, place = self._deleted / f"{conversation}{BEGUN}", self._deleted / conversation
        begun.mkdir(parents=True, exist_ok=True)
        for name, path in self._parts(conversation).items():
            if path.exists() and not (begun / name).exists():
                shutil.move(path, begun / name)
        shutil.rmtree(place, ignore_errors=True)
        begun.rename(place)

    def restore(self, conversation: str) -> Summary | None:
        with self._lock:
            place = self._deleted / conversation
            if not place.is_dir():
                return None
            self._dig_up(conversation)
            return self.get(conversation)

    def _dig_up(self, conversation: str) -> None:
        """What is there again already is newer, and stays; then the older part stays where it is."""
        place = self._deleted / conversation
        for name, path in self._parts(conversation).items():
            if (place / name).exists() and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(place / name, path)
        with contextlib.suppress(OSError):
            place.rmdir()

    def _mend(self) -> None:
        """Ends what a server that was killed has begun; no deletion or undoing stays half done."""
        for draft in self._transcripts.glob(f"*{COPYING}"):
            draft.unlink(missing_ok=True)
        for place in list(self._deleted.glob("*")):
            conversation = place.name.removesuffix(BEGUN)
            with contextlib.suppress(OSError):
                if place.name != conversation:
                    self._bury(conversation)
                elif self._is_torn(conversation):
                    self._dig_up(conversation)

    def _is_torn(self, conversation: str) -> bool:
        """Whether a part of what was deleted lies where it lay before."""
        parts, place = self._parts(conversation), self._deleted / conversation
        return any(parts[name].exists() and not (place / name).exists() for name in RECORDS)

    def deleted(self) -> list[Deleted]:
        """What can be restored, the newest deletion first."""
        with self._lock:
            self._refresh()
            places = [(place.stat().st_mtime, place) for place in self._deleted.glob("*") if _is_whole(place)]
            known = {place: self._buried.get(place) or _buried(*place) for place in places}
            self._buried = known
        return [
            Deleted(summary, _iso(at_s), _iso(at_s + KEPT_DELETED_S))
            for (at_s, _), summary in sorted(known.items(), reverse=True, key=lambda one: one[0])
        ]

    def has_deleted(self) -> bool:
        """Whether anything can be restored."""
        return any(_is_whole(place) for place in self._deleted.glob("*"))

    def purge(self, now_s: float) -> None:
        """Forgets what was deleted long ago."""
        for place in self._deleted.glob("*"):
            if place.stat().st_mtime < now_s - KEPT_DELETED_S:
                shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open.close()
                self._open = None

    def _parts(self, conversation: str) -> dict[str, Path]:
        """All that lies on the disk of a conversation; the folder holds what its helpers did."""
        return {
            TRANSCRIPT: self.transcript_path(conversation),
            "helpers": self._transcripts / conversation,
            JOURNAL: self.journal_path(conversation),
            "draft": draft_of(self.journal_path(conversation)),
        }

    def attachments(self) -> set[str]:
        """What conversations that are there, or can be restored, speak of."""
        return mentioned([*self._journals.glob("*.jsonl"), *self._deleted.glob(f"*/{JOURNAL}")])

    def _drafted(self, term: str) -> str:
        """The conversations, as JSON, in which Claude says what no transcript holds yet."""
        drafts = drafts_in(self._journals)
        return json.dumps([one for one, left in drafts if term in folded(_said_in(left.items))])

    # --- the cache ---

    @property
    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = _connect(self._file)
            except sqlite3.OperationalError as error:
                self._open = self._in_memory(error)
            except sqlite3.DatabaseError:
                log.warning("The index of conversations is damaged; it is made anew")
                self._file.unlink()
                self._open = _connect(self._file)
            self._mend()
            self.purge(time.time())
        return self._open

    def _in_memory(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Where nothing can be written, on a full disk perhaps: it is made anew, and lost with the server."""
        log.warning("The index of conversations is kept in memory: %s", error)
        return _connect(Path(":memory:"))

    def _row(self, conversation: str) -> _Row:
        found = self._db.execute("select * from conversation where id = ?", (conversation,)).fetchone()
        return _Row(*found) if found else _Row(conversation)

    def _save(self, row: _Row) -> None:
        self._db.execute("replace into conversation values (?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(row))

    def _keep_words(self, conversation: str, kind: str, *texts: str) -> None:
        """They can be searched for; but for `said`, in the place of those that were there."""
        if kind != SAID:
            self._forget_words(conversation, kind)
        rows = [(conversation, kind, folded(text), _storable(text)) for text in texts if text]
        self._db.executemany("insert into spoken values (?, ?, ?, ?)", rows)

    def _forget_words(self, conversation: str, kind: str) -> None:
        self._db.execute("delete from spoken where id = ? and kind = ?", (conversation, kind))

    def _refresh(self) -> None:
        try:
            self._take_in_changes()
        except sqlite3.OperationalError as error:
            self.close()
            self._open = self._in_memory(error)
            self._take_in_changes()

    def _take_in_changes(self) -> None:
        known = {id_: state for id_, *state in self._db.execute(_STATES)}
        journals = _files(self._journals)
        sources = journals | _files(self._transcripts)
        gone = known.keys() - sources.keys()
        with self._db:
            for forget in ("delete from conversation where id = ?", "delete from spoken where id = ?"):
                self._db.executemany(forget, [(one,) for one in gone])
            for conversation, (path, mtime) in sources.items():
                noted = journals.get(conversation, (None, 0))[1]
                if known.get(conversation) != [str(path), mtime, noted]:
                    self._reindex(conversation, path, mtime, noted)

    def _reindex(self, conversation: str, path: Path, mtime: int, noted: int) -> None:
        row = self._row(conversation)
        title = row.given_title
        if row.source != str(path) or path.stat().st_size < row.read:
            row = _Row(conversation, source=str(path), given_title=row.given_title)
            self._forget_words(conversation, SAID)
        if row.journal != noted:
            row.journal = noted
            journal = Journal(self.journal_path(conversation)) if noted else None
            row.about = json.dumps(about(journal))
            cut_off = map(_said_in, journal.cut_off.values()) if journal else ()
            self._keep_words(conversation, CUT_OFF, *cut_off)
        if path.parent == self._journals:
            self._forget_words(conversation, SAID)
            self._keep_words(conversation, SAID, _read_journal(row, path))
        elif row.mtime != mtime:
            for words in _read_transcript(row, path):
                self._keep_words(conversation, SAID, words)
        if row.given_title != title:
            self._keep_words(conversation, TITLE, row.given_title)
        row.mtime = mtime
        self._save(row)


_STATES = "select id, source, mtime, journal from conversation"


def _connect(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        connection.executescript("pragma journal_mode = wal; pragma synchronous = off;")
        if connection.execute("pragma user_version").fetchone()[0] != _VERSION:
            # It is a cache: what another version made is not worth moving.
            for table in ("conversation", "spoken"):
                connection.execute(f"drop table if exists {table}")
            connection.execute(f"pragma user_version = {_VERSION}")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _files(folder: Path) -> dict[str, tuple[Path, int]]:
    found = {}
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError):
            if UUID.fullmatch(path.stem):
                found[path.stem] = (path, path.stat().st_mtime_ns)
    return found


def _append(path: Path, entry: dict[str, Any]) -> None:
    """On a line of its own, though the last one may have been cut off."""
    line = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)


def terms_of(query: str) -> list[str]:
    """What must be found, each somewhere: words, and what stands between quotation marks as one."""
    found = [quoted or plain for quoted, plain in _TERM.findall(folded(query))]
    return list(dict.fromkeys(term for one in found if (term := one.strip())))[:MOST_TERMS]


def folded(text: str) -> str:
    """The same in any case, letter by letter: a place in the one is the place in the other."""
    all_at_once = (text := _storable(text)).casefold()
    if len(all_at_once) == len(text):
        return all_at_once
    return "".join(one if len(one := letter.casefold()) == 1 else letter for letter in text)


def _storable(text: str) -> str:
    """With a question mark for half a character, which JSON can hold and a database cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _on_one_line(words: str, is_begin: bool) -> str:
    line = " ".join(words.split())
    if not is_begin:
        # The first word was cut somewhere.
        line = "…" + line.partition(" ")[2] if " " in line[:SNIPPET_BEFORE] else f"…{line}"
    if len(line) > LONGEST_SNIPPET:
        line = line[: LONGEST_SNIPPET - 1].rstrip() + "…"
    return line


def _is_whole(place: Path) -> bool:
    return place.name == place.name.removesuffix(BEGUN) and place.is_dir()


def _buried(_at_s: float, place: Path) -> Summary:
    """What the list would show of a conversation that lies there."""
    row = _Row(place.name)
    journal = Journal(place / JOURNAL) if (place / JOURNAL).exists() else None
    row.about = json.dumps(about(journal))
    if (place / TRANSCRIPT).exists():
        for _words in _read_transcript(row, place / TRANSCRIPT):
            """Only what is noted on the way counts."""
    elif journal:
        _read_journal(row, journal.path)
    return row.summary()


def _iso(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _read_journal(row: _Row, path: Path) -> str:
    """A conversation that Claude has not begun to write down: what can be searched for in it."""
    for message in Journal(path).sent.values():
        names = ", ".join(one["name"] for one in message.attachments)
        row.first_prompt = row.first_prompt or message.text.strip() or names
        row.updated_at = message.at
    return row.first_prompt


def _said_in(items: Iterable[Item]) -> str:
    """What Claude said in these, to be searched in."""
    return "\n".join(str(item.get("text", "")) for item in items if item.get("kind") == "assistant")


def _read_transcript(row: _Row, path: Path) -> Iterator[str]:
    """What was said since it was read last, some of it at a time."""
    words: list[str] = []
    long = 0
    with path.open("rb") as file:
        file.seek(row.read)
        for line in file:
            if not line.endswith(b"\n"):
                break
            row.read += len(line)
            if (said_here := _index_line(row, line)) is not None:
                words.append(said_here)
                long += len(said_here)
            if long >= _SPOKEN_TOGETHER:
                yield "\n".join(words)
                words, long = [], 0
    yield "\n".join(words)


def _index_line(row: _Row, line: bytes) -> str | None:
    """What was said in this line; what else it tells goes into the row."""
    if line.startswith(b'{"type":"custom-title"'):
        row.given_title = str(_parsed(line).get("customTitle") or "")
        return None
    if line.startswith(NOT_SPOKEN) or b'"isSidechain":true' in line:
        return None
    if b'"type":"assistant"' in line and b'"type":"text"' in line:
        entry = _parsed(line)
        text = said(entry["message"]["content"]) if entry.get("type") == "assistant" else None
    else:
        text = prompt_of(line)
        entry = _parsed(line) if text is not None else {}
    if text is None or "origin" in entry:
        return None
    if entry["type"] == "user":
        row.first_prompt = row.first_prompt or command(text) or text
    row.updated_at = str(entry.get("timestamp") or row.updated_at)
    return text


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
