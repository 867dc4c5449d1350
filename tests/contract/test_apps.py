"""Apps: their names, their addresses, their secrets, their end."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.platform import Platform


def test_an_app_says_what_it_is(app: AppUnderTest, ask: Asker) -> None:
    seen = ask.json("GET", app.path)
    assert (seen["name"], seen["network"]) == (app.name, "shared")
    assert seen["organization"]["slug"] == "personal"
    assert isinstance(seen["internal_numeric_id"], int)
    assert len(seen["id"]) == 16


def test_an_app_may_be_named_as_older_clients_do(ask: Asker) -> None:
    name = app_name()
    made = ask.json("POST", "/apps?wait=true", {"app_name": name, "org_slug": "personal"}, code=201)
    assert (made["name"], made["network"]) == (name, "default")
    assert ask("DELETE", f"/apps/{name}").status_code == 202


def test_a_taken_name_is_refused_with_a_status_that_programs_can_tell(app: AppUnderTest, ask: Asker) -> None:
    answer = ask.json("POST", "/apps", {"name": app.name, "org_slug": "personal"}, code=422)
    assert answer == {"error": "Validation failed: Name has already been taken", "status": "name_taken"}


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dash-", "a" * 64, "sp ace", "ünï", "a/b"])
def test_a_bad_name_is_refused_and_makes_nothing(ask: Asker, name: str) -> None:
    assert "Name under 63 chars" in ask.refusal(422, "POST", "/apps", {"name": name})
    assert name not in [app["name"] for app in ask.json("GET", "/apps?org_slug=personal")["apps"]]


def test_a_bad_network_is_refused(ask: Asker) -> None:
    assert "Network" in ask.refusal(422, "POST", "/apps", {"name": app_name(), "network": "1 2"})


def test_apps_are_listed_by_organisation(app: AppUnderTest, ask: Asker) -> None:
    mine = ask.json("GET", "/apps", params={"org_slug": "personal"})
    assert app.name in [seen["name"] for seen in mine["apps"]]
    assert mine["total_apps"] == len(mine["apps"])
    assert ask.json("GET", "/apps", params={"org_slug": "somebody-else"})["apps"] == []


def test_an_unknown_app_is_not_found(ask: Asker) -> None:
    assert ask.refusal(404, "GET", "/apps/no-such-app") == "app not found"
    assert ask.refusal(404, "GET", "/apps/no-such-app/machines") == "app not found"
    assert ask.refusal(404, "DELETE", "/apps/no-such-app") == "app not found"


def test_without_the_token_nothing_is_told(ask: Asker) -> None:
    for header in ("Bearer wrong", "", "Basic abc"):
        answer = ask("GET", "/apps", headers={"Authorization": header})
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid token"})


def test_a_macaroon_scheme_is_accepted(ask: Asker, platform: Platform) -> None:
    assert (
        ask("GET", "/apps", headers={"Authorization": f"FlyV1 {platform.about['token']}"}).status_code == 200
    )


def test_every_answer_has_a_request_id(ask: Asker) -> None:
    first, second = (ask("GET", "/apps").headers["fly-request-id"] for _ in range(2))
    assert first != second


def test_addresses_are_assigned_listed_and_released(app: AppUnderTest, ask: Asker) -> None:
    path = f"{app.path}/ip_assignments"
    shared = ask.json("POST", path, {"type": "shared_v4"})
    v6 = ask.json(
        "POST", path, {"type": "v6", "region": "", "org_slug": "", "network": "", "service_name": ""}
    )
    assert (shared["shared"], v6["shared"]) == (True, False)
    assert ask.json("POST", path, {"type": "shared_v4"})["ip"] == shared["ip"]
    assert {ip["ip"] for ip in ask.json("GET", path)["ips"]} == {shared["ip"], v6["ip"]}
    assert ask("DELETE", f"{path}/{v6['ip']}").status_code == 204
    assert [ip["ip"] for ip in ask.json("GET", path)["ips"]] == [shared["ip"]]
    assert "not found" in ask.refusal(404, "DELETE", f"{path}/{v6['ip']}")


def test_a_private_address_names_the_network_that_callers_come_from(app: AppUnderTest, ask: Asker) -> None:
    path = f"{app.path}/ip_assignments"
    made = ask.json("POST", path, {"type": "private_v6", "network": "shared"})
    assert made["ip"].startswith("fdaa:")
    assert made["network"] == {"name": "shared", "org_slug": "personal"}
    assert ask.refusal(400, "POST", path, {"type": "private_v6", "network": "nowhere"}) == "network not found"
    assert "type must be one of" in ask.refusal(400, "POST", path, {"type": "v5"})


def test_an_egress_pair_is_two_addresses(app: AppUnderTest, ask: Asker) -> None:
    made = ask.json("POST", f"{app.path}/ip_assignments", {"type": "egress_pair"})
    assert made["ip"] is None
    assert set(made["ip_pair"]) == {"v4", "v6"}


def test_secrets_are_shown_only_when_asked_for(app: AppUnderTest, ask: Asker) -> None:
    set_ = ask.json("POST", f"{app.path}/secrets", {"values": {"KEY": "a value", "OTHER": "b"}})
    assert [secret["name"] for secret in set_["secrets"]] == ["KEY", "OTHER"]
    assert "value" not in ask.json("GET", f"{app.path}/secrets/KEY")
    assert ask.json("GET", f"{app.path}/secrets/KEY?show_secrets=true")["value"] == "a value"
    ask.json("POST", f"{app.path}/secrets", {"values": {"KEY": None}})
    assert [secret["name"] for secret in ask.json("GET", f"{app.path}/secrets")["secrets"]] == ["OTHER"]
    assert ask.json("DELETE", f"{app.path}/secrets/OTHER")["version"] == 3
    assert "secret not found" in ask.refusal(404, "GET", f"{app.path}/secrets/OTHER")


def test_secrets_reach_a_machine_that_is_made_afterwards(app: AppUnderTest, ask: Asker, config: Make) -> None:
    ask.json("POST", f"{app.path}/secrets/KEY", {"value": "from the vault"}, code=201)
    machine = app.machine(config())
    assert app.run(machine["id"], "printenv", "KEY")["stdout"] == "from the vault\n"


def test_deleting_an_app_takes_everything_along(
    ask: Asker, config: Make, docker_client: docker.DockerClient
) -> None:
    name = app_name()
    ask.json("POST", "/apps", {"name": name, "network": name}, code=201)
    app = AppUnderTest(ask, name)
    volume = app.volume()
    app.machine(config(mounts=[{"volume": volume["id"], "path": "/data"}]))
    filters: dict[str, Any] = {"label": f"my-jarvis.app={name}"}
    assert docker_client.containers.list(filters=filters)
    answer = ask("DELETE", f"/apps/{name}?force=true")
    assert (answer.status_code, answer.content) == (202, b"")
    assert ask.refusal(404, "GET", f"/apps/{name}") == "app not found"
    assert docker_client.containers.list(all=True, filters=filters) == []
    assert docker_client.volumes.list(filters=filters) == []
    assert [n for n in docker_client.networks.list() if name in str(n.name)] == []
    assert name not in str(ask.json("GET", "/orgs/personal/machines"))


def test_a_name_is_free_again_once_its_app_is_gone(ask: Asker) -> None:
    name = app_name()
    for _ in range(2):
        ask.json("POST", "/apps", {"name": name}, code=201)
        assert ask("DELETE", f"/apps/{name}").status_code == 202


def test_the_regions_and_the_token_are_told(ask: Asker) -> None:
    regions = ask.json("GET", "/platform/regions")
    assert "iad" in [region["code"] for region in regions["Regions"]]
    assert ask.json("GET", "/tokens/current")["tokens"][0]["org_slug"] == "personal"
    placed = ask.json("POST", "/platform/placements", {"org_slug": "personal", "region": "fra,iad"})
    assert [region["Region"] for region in placed["Regions"]] == ["fra", "iad"]
