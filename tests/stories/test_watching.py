"""The operator's watch over a real workspace: it wakes nobody, tells of trouble once, and keeps to caps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker
import httpx
import pytest

from fly.plan import Person
from tests.support.mailserver import MailServer, mail_server
from tests.support.operator import Operator
from tests.support.wait import wait_until

LILACH = Person("Lilach", "lilach@example.com")


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture(scope="module")
def operator(
    tmp_path_factory: pytest.TempPathFactory,
    image: str,
    docker_client: docker.DockerClient,
    mails: MailServer,
) -> Iterator[Operator]:
    """With the platform up and Lilach's workspace on it."""
    digest = str(docker_client.images.get(image).id)
    operator = Operator(
        tmp_path_factory.mktemp("watch") / "home",
        JARVIS_IMAGE=f"my-jarvis@{digest}",
        JARVIS_SMTP_URL=mails.url().reveal(),
        JARVIS_MAIL_FROM="My Jarvis <jarvis@example.com>",
        SSL_CERT_FILE=str(mails.certificate),
    )
    operator.stands_up()
    try:
        operator.runs("provision", "--name", LILACH.name, "--email", LILACH.email)
        yield operator
    finally:
        operator.runs("down", "--destroy", "--keep-cache", "--yes")


class Api:
    """The embedded platform's own word, past all verbs."""

    def __init__(self, operator: Operator) -> None:
        [row] = operator.reads("users")
        about = operator.reads("platform")
        self.http = httpx.Client(
            base_url=about["api_url"],
            headers={"authorization": f"Bearer {about['token']}"},
            timeout=60,
            trust_env=False,
        )
        self.machine_id, self.path = row["machine_id"], f"/v1/apps/{row['app']}/machines/{row['machine_id']}"
        self.pid = int(about["pid"])

    def state(self) -> str:
        return str(self.http.get(self.path).json()["state"])

    def activity(self) -> Any:
        return self.http.get(f"/_local/machines/{self.machine_id}/activity").json()

    def suspend(self) -> None:
        wait_until(
            lambda: self.http.post(f"{self.path}/suspend").is_success, "it takes the request", timeout_s=30
        )
        wait_until(lambda: self.state() == "suspended", "it sleeps", timeout_s=60)


@pytest.fixture(scope="module")
def api(operator: Operator) -> Iterator[Api]:
    api = Api(operator)
    with api.http:
        yield api


def subjects(mails: MailServer) -> list[str]:
    return [str(mail["Subject"]) for mail in mails.taken.mails]


def test_a_look_neither_keeps_a_machine_awake_nor_wakes_it(operator: Operator, api: Api) -> None:
    """Probes of who is awake do not count as use, and leave who sleeps asleep; `--wake` does wake."""
    used_s = api.activity()["last_activity_s"]
    [seen] = operator.reads("probe")
    assert (seen["ok"], seen["state"], seen["wake_ms"]) == (True, "started", None)
    assert seen["probe_ms"] > 0
    later_s = api.activity()["last_activity_s"]
    assert later_s > used_s, f"looking counted as use: last used {later_s} s ago"

    api.suspend()
    operator.runs("check", "--quiet")
    assert api.state() == "suspended"

    [seen] = operator.reads("probe", "--wake")
    assert seen["wake_ms"] > 0
    assert api.state() == "started"
    assert seen["uptime"] == 1.0


def test_who_has_used_up_her_month_rests_until_she_is_let_go_on(
    operator: Operator, mails: MailServer
) -> None:
    """The page says so, her data can be had, each is told once, and `--lift` brings her back."""
    with closing(operator.signs_in(LILACH.name)) as browser:
        assert browser.get("/api/boot").is_success  # a server that nobody has visited yet tells of no turns
    operator.runs("meter")
    operator.runs("cap", "--name", LILACH.name, "--hours", "0.0001")
    for _ in range(2):
        operator.runs("check", "--mail", status=1)
    assert len([one for one in subjects(mails) if "rests until" in one]) == 1
    assert len([one for one in subjects(mails) if one.startswith("[my-jarvis]")]) == 1
    with closing(operator.signs_in(LILACH.name)) as browser:
        assert "rests until" in browser.get("/").text
        assert browser.get("/api/boot").json()["error"]["code"] == "paused"
        assert browser.get("/api/data/export").is_success

    said = operator.runs("cap", "--name", LILACH.name, "--lift")
    assert "back in her workspace" in said
    with closing(operator.signs_in(LILACH.name)) as browser:
        assert browser.get("/api/boot").is_success


def test_trouble_is_mailed_once(operator: Operator, api: Api, mails: MailServer) -> None:
    """The last one, since it kills the platform: `check` ends with 2, and mails once."""
    os.kill(api.pid, signal.SIGKILL)
    for _ in range(2):
        said = operator.runs("check", "--mail", status=2)
        assert "the platform cannot be asked" in said
    [told] = [one for one in subjects(mails) if "platform cannot be asked" in one]
    assert told.startswith("[my-jarvis] everybody")
