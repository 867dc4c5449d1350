"""What should exist for a person; every refusal comes before anything is touched."""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly.access.welcome import draw
from fly.errors import PlanError
from fly.plan import (
    ALPHABET,
    APP_NAME_MAX,
    REGIONS,
    Person,
    Plan,
    app_name,
    make_plan,
    network_of,
    render_toml,
    slug_of,
    workspace_of,
)

TEMPLATE = (Path(__file__).resolve().parents[3] / "fly" / "fly.toml").read_text(encoding="utf-8")
DIGEST = "sha256:" + "0f" * 32
SUFFIX = "0123456789abc"
WELCOME = draw("link", "lilach@example.com")


def plan_of(name: str = "Lilach", email: str = "lilach@example.com", **wanted: Any) -> Plan:
    given = {"image": f"registry.fly.io/images@{DIGEST}"} | wanted
    return make_plan(
        Person(name, email),
        id="01KABCDEFGHJKMNPQRSTVWXYZ0",
        suffix=SUFFIX,
        platform="fly/personal",
        org="personal",
        url_of=lambda app: f"https://{app}.fly.dev",
        **given,
    )


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Lilach", "lilach"),
        ("Łukasz Ćwik", "lukasz-cwik"),
        ("לילך", "lylkh"),
        ("محمد", "mhmd"),
        ("李小龍", "lixiaolong"),
        ("O'Brien & Söhne", "obrien-sohne"),
        ("  Anna-Maria  von   Trapp ", "anna-maria-von-trapp"),
        ("…", "user"),
        ("---", "user"),
        ("\u200d", "user"),
        ("a" * 80, "a" * 30),
        ("Ab" * 14 + " x " + "y" * 9, "ab" * 14 + "-x"),
    ],
)
def test_a_name_of_any_script_becomes_a_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@given(st.text())
def test_a_slug_is_never_empty_and_always_fit_for_a_host_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug_of(name))


@given(st.text(), st.text(ALPHABET, min_size=13, max_size=13))
def test_an_app_name_is_one_that_fly_takes(name: str, suffix: str) -> None:
    app = app_name(name, suffix)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", app)
    assert len(app) <= APP_NAME_MAX
    assert app.endswith(f"-myjarvis-{suffix}")


@given(st.text(max_size=100))
def test_a_name_is_taken_as_it_is_meant_or_refused(name: str) -> None:
    try:
        person = Person(name, "a@example.com")
    except PlanError:
        return
    assert person.name == unicodedata.normalize("NFC", name).strip()
    assert not any(unicodedata.category(character) == "Cc" for character in person.name)
    assert Person(person.name, person.email) == person


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "\t",
        "-rf",
        " --help",
        "a\nb",
        "a\x00b",
        "a\x1b[31mb",
        "x" * 81,
        "a\u202eb",
        "a\ud800",
        "a\u2028b",
    ],
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(PlanError):
        Person(name, "a@example.com")


@pytest.mark.parametrize("name", ["x" * 80, "Ana María", "👩‍👩‍👧", "नमस्ते", "می‌خواهم"])
def test_a_good_name_of_any_script_is_taken(name: str) -> None:
    assert Person(name, "a@example.com").name == name


@pytest.mark.parametrize(
    "email", ["", "lilach", "a@", "@b.com", "a b@c.com", "a@b", "a@b.com, c@d.com", "a@b..com", "a\n@b.com"]
)
def test_a_bad_e_mail_is_refused(email: str) -> None:
    with pytest.raises(PlanError) as caught:
        Person("Lilach", email)
    assert caught.value.hint


def test_an_e_mails_host_is_written_in_one_way() -> None:
    assert Person("L", " A.b+c@EXAMPLE.Com ").email == "A.b+c@example.com"


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        {"region": ""},
        {"region": "mars"},
        {"region": "IAD"},
        {"size_gb": 0},
        {"size_gb": -1},
        {"size_gb": 501},
        {"memory_mb": 0},
        {"memory_mb": 1000},
        {"memory_mb": 4096},
        {"memory_mb": -256},
        {"memory_mb": 256, "cpus": 2},
        {"cpus": 0},
        {"cpus": 3},
        {"image": ""},
        {"image": "my-jarvis:latest"},
        {"image": "my-jarvis@sha256:abc"},
        {"image": f"my jarvis@{DIGEST}"},
        {"image": f"my-jarvis@{DIGEST}\n"},
    ],
)
def test_what_cannot_be_is_refused_with_what_can(wanted: dict[str, Any]) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(**wanted)
    assert caught.value.hint


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_is_taken(region: str) -> None:
    assert plan_of(region=region).region == region


@pytest.mark.parametrize(("memory_mb", "cpus"), [(256, 1), (2048, 1), (2048, 8), (512, 2)])
def test_every_size_that_can_be_suspended_is_taken(memory_mb: int, cpus: int) -> None:
    assert plan_of(memory_mb=memory_mb, cpus=cpus).memory_mb == memory_mb


# --- what is planned ------------------------------------------------------------------------------


def test_the_machine_is_what_the_product_promises() -> None:
    config = plan_of().machine_config("vol_1")
    [service] = config["services"]
    assert config["mounts"] == [{"volume": "vol_1", "path": "/data"}]
    person = {"USER_NAME": "Lilach", "USER_EMAIL": "lilach@example.com"}
    plan = plan_of(welcome=WELCOME)
    assert plan.environment == {
        **person,
        "JARVIS_LOGIN": "link",
        "JARVIS_LOGIN_HASH": WELCOME.hash,
        "JARVIS_HOSTS": f"{plan.app}.fly.dev",
        "JARVIS_URL": f"https://{plan.app}.fly.dev",
    }
    assert not any("LOGIN" in name for name in config["env"]), "without a key nobody comes in"
    assert config["guest"] == {"cpu_kind": "shared", "cpus": 1, "memory_mb": 1024}
    assert (service["autostop"], service["autostart"], service["min_machines_running"]) == (
        "suspend",
        True,
        0,
    )
    assert service["internal_port"] == config["checks"]["health"]["port"] == 3000
    assert service["ports"] == [
        {"port": 443, "handlers": ["tls", "http"]},
        {"port": 80, "handlers": ["http"], "force_https": True},
    ]
    assert config["checks"]["health"]["path"] == "/health"
    assert config["stop_config"] == {"signal": "SIGTERM", "timeout": "10s"}
    assert config["restart"]["policy"] == "on-failure"
    assert config["metadata"]["my-jarvis-workspace"] == "01KABCDEFGHJKMNPQRSTVWXYZ0"
    assert config["metadata"]["my-jarvis-email"] == "lilach@example.com"
    assert "swap" not in str(config), "a machine with swap cannot be suspended"


def test_the_plan_stands_on_a_network_that_names_its_workspace() -> None:
    plan = plan_of()
    assert plan.app_request["network"] == plan.network
    assert re.fullmatch(r"[a-z][a-z0-9-]*", plan.network)
    assert workspace_of(plan.network) == plan.id


@pytest.mark.parametrize("network", ["", "default", "jarvis-1", "myjarvis"])
def test_another_network_names_no_workspace(network: str) -> None:
    assert workspace_of(network) == ""


def test_no_two_workspaces_share_a_network() -> None:
    assert network_of("01A") != network_of("01B")


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    assert Plan.from_json(plan_of().to_json()) == plan_of()
    with pytest.raises(KeyError):
        Plan.from_json({})


def test_two_plans_ask_the_same_when_only_what_was_drawn_differs() -> None:
    plan = plan_of()
    assert plan.asks_the_same_as(replace(plan, id="x", app="y", url="z"))
    assert not plan.asks_the_same_as(replace(plan, size_gb=11))
    assert not plan.asks_the_same_as(replace(plan, image=f"other@{DIGEST}"))


DOCUMENT = Path(__file__).resolve().parents[2] / "contract" / "fly-openapi.json"
SCHEMAS = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]


def unknown_fields(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """What is in a request and not in Fly's document: Fly would ignore it without a word."""
    schema = schema["allOf"][0] if "allOf" in schema else schema
    schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, schema["items"], path)
    elif isinstance(value, dict):
        for name, item in value.items():
            described = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if described is None:
                yield f"{path}.{name}"
            else:
                yield from unknown_fields(item, described, f"{path}.{name}")


@pytest.mark.parametrize(
    ("request_", "schema"),
    [
        (plan_of().machine_request("vol_1", "iad"), "CreateMachineRequest"),
        (plan_of().volume_request, "CreateVolumeRequest"),
        (plan_of().app_request, "CreateAppRequest"),
    ],
)
def test_fly_knows_every_field_that_it_is_sent(request_: dict[str, Any], schema: str) -> None:
    # `app_name` is how Fly's own pages call what its document calls `name`: both are sent.
    assert set(unknown_fields(request_, SCHEMAS[schema])) <= {".app_name"}


def test_a_field_that_fly_does_not_know_is_found_out() -> None:
    request = plan_of().machine_request("vol_1", "iad")
    request["config"]["services"][0]["auto_stop_machines"] = "suspend"
    found = list(unknown_fields(request, SCHEMAS["CreateMachineRequest"]))
    assert found == [".config.services.auto_stop_machines"]


# --- fly.toml -------------------------------------------------------------------------------------


def test_the_rendered_file_says_what_the_machine_says() -> None:
    plan = plan_of(size_gb=20, memory_mb=2048, cpus=2, region="fra", welcome=WELCOME)
    text = render_toml(plan, TEMPLATE)
    told = tomllib.loads(text)
    config = plan.machine_config("vol_1")
    [service] = config["services"]
    http = told["http_service"]
    assert (told["app"], told["primary_region"], told["build"]["image"]) == (plan.app, "fra", plan.image)
    assert {name: value for name, value in told["env"].items() if value} == config["env"]
    assert told["mounts"] == [{"source": "data", "destination": "/data", "initial_size": "20gb"}]
    assert (http["internal_port"], http["force_https"]) == (service["internal_port"], True)
    assert (http["auto_stop_machines"], http["auto_start_machines"]) == (
        service["autostop"], service["autostart"],
    )  # fmt: skip
    assert http["min_machines_running"] == service["min_machines_running"]
    assert http["concurrency"] == service["concurrency"]
    check = told["checks"]["health"]
    assert {**check, "method": "GET"} == config["checks"]["health"]
    assert told["vm"] == [{"cpu_kind": "shared", "cpus": 2, "memory": "2048mb"}]
    assert (told["kill_signal"], told["kill_timeout"]) == tuple(config["stop_config"].values())
    assert told["restart"] == [{"policy": "on-failure", "retries": config["restart"]["max_retries"]}]


def test_the_comments_stay() -> None:
    rendered = render_toml(plan_of(), TEMPLATE)
    assert rendered.count("#") >= TEMPLATE.count("#") > 10
    assert "$" not in rendered


@given(st.text(max_size=80))
def test_no_name_can_break_out_of_the_rendered_file(name: str) -> None:
    try:
        person = Person(name, "a@example.com")
    except PlanError:
        return
    told = tomllib.loads(render_toml(replace(plan_of(), name=person.name), TEMPLATE))
    assert told["env"]["USER_NAME"] == person.name
    assert told["app"] == plan_of().app
