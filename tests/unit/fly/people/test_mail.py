"""Letters to users, against a mail server that speaks TLS, asks who we are and refuses."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from fly.errors import PlanError, SettingsError
from fly.people.letters import ALERT, NAMES, Letters, preview
from fly.people.outbox import FAILED, PENDING, SENT, UNKNOWN, Mail
from fly.people.post import OPERATOR
from fly.people.smtp import Mailbox
from fly.plan import Person
from fly.settings import Secret
from tests.support.mailserver import mail_server
from tests.unit.fly.people.conftest import Office

FACTS = {
    "title": "Invoice",
    "number": "00007",
    "month": "2026-10",
    **{"when": "Sunday", "what": "a new image", "amount": "20.00", "due": "1 December"},
    **{"share": "80%", "cap": "40 h a month", "until": "May 1"},
}


def put(office: Office) -> Mail:
    rows = office.world.rows() or [office.world.provision()]
    return office.post.put(rows[0], "welcome", {})


def be_due(office: Office) -> Mail:
    office.outbox._execute("UPDATE outbox SET next_at = '2000-01-01T00:00:00.000Z'")
    [mail] = office.outbox.due()
    return mail


def test_a_welcome_arrives_with_her_link_as_text_and_as_a_page(office: Office) -> None:
    mail = office.post.send(put(office))
    assert mail.state == SENT
    [arrived] = office.server.taken.mails
    [row] = office.world.rows()
    [welcome] = office.world.ledger.keys(row.id)
    for kind in ("plain", "html"):
        part = arrived.get_body((kind,))
        assert part is not None
        assert welcome.link(row.url) in part.get_content()
    assert arrived["To"] == "Lilach <lilach@example.com>"
    assert arrived["Message-ID"].endswith("@example.com>")


def test_no_key_lies_in_the_outbox(office: Office) -> None:
    office.post.send(put(office))
    [row] = office.world.rows()
    secret = office.world.ledger.keys(row.id)[0].secret.reveal()
    with sqlite3.connect(office.world.ledger.path) as database:
        written = str(database.execute("SELECT * FROM outbox").fetchall())
    database.close()
    assert "welcome" in written
    assert secret not in written


def test_the_same_mail_is_sent_once(office: Office) -> None:
    for _ in range(3):
        office.post.send(put(office))
        office.post.send(put(office), again=True)
    assert len(office.server.taken.mails) == 1


def test_a_new_key_is_another_welcome(office: Office) -> None:
    office.post.send(put(office))
    [row] = office.world.rows()
    from fly.access.keys import rotate

    rotate(office.world.client, office.world.ledger, row, probe=office.world.fly.page)
    office.post.send(put(office))
    assert len(office.server.taken.mails) == 2


@pytest.mark.parametrize("where", ["at_rcpt", "at_data"])
def test_not_now_is_tried_again_later(office: Office, where: str) -> None:
    getattr(office.server.taken, where).append("451 come back later")
    mail = office.post.send(put(office))
    assert (mail.state, mail.reason) == (PENDING, "451 come back later")
    assert office.outbox.due() == []
    assert office.post.send(be_due(office)).state == SENT
    assert len(office.server.taken.mails) == 1


@pytest.mark.parametrize("where", ["at_rcpt", "at_data"])
def test_a_refusal_for_good_is_kept_with_its_reason(office: Office, where: str) -> None:
    getattr(office.server.taken, where).append("550 no such person")
    mail = office.post.send(put(office))
    assert (mail.state, mail.reason) == (FAILED, "550 no such person")
    assert office.outbox.due() == []
    assert office.post.send(mail).state == FAILED
    assert office.post.send(mail, again=True).state == SENT


def test_the_pauses_grow_and_at_last_it_counts_as_failed(office: Office) -> None:
    office.settings = replace(office.settings, smtp_url=Secret("smtp://127.0.0.1:1"))
    mail, pauses = put(office), []
    while (mail := office.post.send(mail)).state == PENDING:
        pauses.append(mail.next_at)
        mail = be_due(office)
    assert mail.state == FAILED
    assert pauses == sorted(pauses)
    assert mail.tries == 12


def test_a_server_that_does_not_let_us_in_leaves_the_mail_for_later(office: Office) -> None:
    office.settings = replace(office.settings, smtp_url=office.server.url(password="wrong"))
    mail = office.post.send(put(office))
    assert mail.state == PENDING
    assert "535" in mail.reason
    assert "wrong" not in mail.reason


def test_a_server_that_nobody_vouches_for_gets_neither_mail_nor_password(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    mail = office.post.send(put(office))
    assert mail.state == PENDING
    assert "CERTIFICATE_VERIFY_FAILED" in mail.reason
    assert office.server.taken.mails == []


def test_a_lost_receipt_is_reported_and_sent_again_only_when_told(office: Office) -> None:
    office.server.taken.breaks_after_data = True
    mail = office.post.send(put(office))
    assert mail.state == UNKNOWN
    assert office.outbox.due() == []
    assert office.post.send(mail).state == UNKNOWN
    [again] = office.outbox.due(again=True)
    assert office.post.send(again, again=True).state == SENT
    first, second = office.server.taken.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_mail_cut_off_by_a_kill_is_unknown(office: Office) -> None:
    mail = put(office)
    dead = "|".join([__import__("socket").gethostname(), "1", "never"])
    office.outbox._execute("UPDATE outbox SET state = 'sending', owner = ?", dead)
    assert office.outbox.get(mail.key).state == UNKNOWN
    assert office.post.send(mail).state == UNKNOWN
    assert office.server.taken.mails == []


def test_tls_from_the_first_byte_on(office: Office, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server(folder, tls=True) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        office.settings = replace(office.settings, smtp_url=server.url(kind="smtps"))
        assert office.post.send(put(office)).state == SENT
        assert len(server.taken.mails) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_letter_is_whole_and_escapes_what_users_are_called(office: Office, name: str) -> None:
    row = office.world.provision(Person("Tom & <Jerry>", "tom@example.com"))
    letter = office.post.letter(row, name, FACTS)
    assert "Tom & <Jerry>" in letter.text
    assert "Tom &amp; &lt;Jerry&gt;" in letter.html
    assert row.url in letter.text
    assert "{{" not in letter.text + letter.html + letter.subject


def test_what_a_letter_lacks_is_named(office: Office) -> None:
    with pytest.raises(PlanError, match="'amount' is undefined"):
        office.post.put(office.world.provision(), "payment", {})
    assert office.outbox.mails() == []


def test_the_operators_own_letter_is_taken_instead(folder: Path) -> None:
    (folder / "goodbye.txt").write_text("Subject: Shalom {{ name }}\n\nTake care.\n", encoding="utf-8")
    facts = {"name": "Lilach", "url": "https://x", "operator": "Me", "operator_email": "me@example.com"}
    letter = Letters(folder).write("goodbye", facts)
    assert (letter.subject, letter.text) == ("Shalom Lilach", "Take care.\n")
    assert "is closed" in letter.html


@pytest.mark.parametrize(
    "text", ["Hello\n", "Subject: \n\nHello", "Subject: {{ broken\n", "Subject: {% x %}\n"]
)
def test_a_broken_template_is_told(folder: Path, text: str) -> None:
    (folder / "goodbye.txt").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"goodbye\.txt"):
        Letters(folder).write("goodbye", {})


def test_a_preview_is_for_its_owner_alone(office: Office, folder: Path) -> None:
    letter = office.post.letter(office.world.provision(), "welcome", {})
    path = preview(letter, folder / "previews", "welcome-x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "#key=" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("", "me@example.com"),
        ("mail.example.com", "me@example.com"),
        ("smtps://", "me@example.com"),
        ("smtps://host:port", "me@example.com"),
        ("http://host", "me@example.com"),
        ("smtp://user:hush@mail.example.com", "me@example.com"),
        ("smtps://user:hush@mail.example.com", ""),
    ],
)
def test_settings_that_make_no_sense_are_told_without_the_password(url: str, sender: str) -> None:
    with pytest.raises(SettingsError) as told:
        Mailbox.parse(Secret(url), sender)
    assert "hush" not in f"{told.value} {told.value.hint}"


def test_a_mail_to_the_operator_waits_in_the_same_outbox(office: Office) -> None:
    new = "Lilach\tits page\tcritical, since\tinvoke status"
    facts = {"platform": "local", "headline": "2 new", "new": new, "over": ""}
    mail = office.outbox.put(OPERATOR, ALERT, "local-1", facts, "night@example.com")
    assert office.post.send(mail).state == SENT
    [taken] = office.server.taken.mails
    assert (taken["To"], taken["Subject"]) == ("night@example.com", "[my-jarvis] 2 new")
