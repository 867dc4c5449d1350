"""Fly's own description of its API as a measure: is this an answer that Fly could have given?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft4Validator

DOCUMENT = Path(__file__).resolve().parents[1] / "contract" / "fly-openapi.json"
ENVELOPED = {"/apps/{app_name}/machines/{machine_id}/lease"}
"""The document shows these answers bare; the live API wraps them in `{"status": "success", "data": …}`."""
BEYOND: Mapping[str, frozenset[str]] = {
    "App": frozenset({"network_cidr", "created_at"}),
    "ErrorResponse": frozenset({"status"}),
    "IPAssignment": frozenset({"type", "egress", "network", "ip_pair"}),
    "Machine": frozenset({"version", "cordoned", "lease"}),
}
"""Fields that the live API answers with though the document does not know them."""
NULLABLE = frozenset({"attached_machine_id", "attached_alloc_id", "network", "ip", "ip_pair"})
"""Fields that the live API may answer with null though the document gives them a type."""
CODES = frozenset({400, 401, 403, 404, 408, 409, 412, 413, 422, 429, 503})
"""Codes that the live API uses for errors at any operation."""
UPPER_CASE = {"/platform/regions", "/platform/placements"}
"""Operations whose fields begin with upper case, live."""
EMPTY_OR_OK: tuple[dict[str, bool], ...] = ({}, {"ok": True})
STATUSES = frozenset({"name_taken", "volume_placement_capacity"})


class Complaint(AssertionError):  # noqa: N818 — it names what it is
    """An answer that Fly would not have given."""


class Measure:
    """Holds answers against the document, allowing for what is known of the live API."""

    def __init__(self, document: Path = DOCUMENT) -> None:
        self._document = json.loads(document.read_text(encoding="utf-8"))
        self._paths = [(path, _pattern(path)) for path in self._document["paths"]]

    def check(self, answer: httpx.Response) -> None:
        """*Errors*: Complaint, naming the place."""
        request = answer.request
        path = self._path_of(request.url.path.removeprefix("/v1"))
        operation = self._document["paths"][path][request.method.lower()]
        where = f"{request.method} {path} -> {answer.status_code}"
        if answer.status_code >= 400:
            self._check_error(answer, operation, where)
        elif str(answer.status_code) not in operation["responses"]:
            raise Complaint(f"{where}: the document knows only {sorted(operation['responses'])}")
        else:
            self._check_success(answer, operation, path, where)

    def _check_error(self, answer: httpx.Response, operation: Any, where: str) -> None:
        if answer.status_code not in CODES and str(answer.status_code) not in operation["responses"]:
            raise Complaint(f"{where}: no such code")
        body = answer.json()
        if body.get("status") in STATUSES:
            body = {key: value for key, value in body.items() if key != "status"}
        self._against({"$ref": "#/components/schemas/ErrorResponse"}, body, where)
        if not body.get("error"):
            raise Complaint(f"{where}: an error without words: {body}")

    def _check_success(self, answer: httpx.Response, operation: Any, path: str, where: str) -> None:
        content = operation["responses"][str(answer.status_code)].get("content", {})
        if not content:
            if answer.content and answer.status_code == 200 and path not in ENVELOPED:
                self._check_undescribed(answer, where)
            elif answer.status_code == 204 and answer.content:
                raise Complaint(f"{where}: 204 has no body")
            return
        body = answer.json()
        if path in ENVELOPED:
            if body.get("status") != "success":
                raise Complaint(f"{where}: an envelope says success: {body}")
            body = body["data"]
        if path in UPPER_CASE:
            body = _lowered(body)
        self._against(next(iter(content.values()))["schema"], body, where)

    def _check_undescribed(self, answer: httpx.Response, where: str) -> None:
        started = {"previous_state", "migrated", "new_host"}
        body = answer.json()
        if body not in EMPTY_OR_OK and set(body) != started and "Msg" not in body:
            raise Complaint(f"{where}: the document describes no body, this is none that Fly sends: {body}")

    def _against(self, schema: Any, body: Any, where: str) -> None:
        whole = {**schema, "components": self._document["components"]}
        for error in Draft4Validator(whole).iter_errors(_without_nulls(body)):
            raise Complaint(f"{where}: {error.json_path}: {error.message}")
        for unknown in self._unknown(schema, body, "$"):
            raise Complaint(f"{where}: {unknown} is in no document")

    def _unknown(self, schema: Any, value: Any, at: str) -> Iterator[str]:
        """Fields that neither the document nor our list of the live API's knows."""
        name = schema.get("$ref", "").rpartition("/")[2]
        if name:
            schema = self._document["components"]["schemas"][name]
        schema = schema["allOf"][0] if "allOf" in schema else schema
        if "$ref" in schema:
            yield from self._unknown(schema, value, at)
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._unknown(schema["items"], item, f"{at}[{index}]")
        elif isinstance(value, dict) and "properties" in schema:
            for key, item in value.items():
                if key in schema["properties"]:
                    yield from self._unknown(schema["properties"][key], item, f"{at}.{key}")
                elif key not in BEYOND.get(name, ()):
                    yield f"{at}.{key}"

    def _path_of(self, path: str) -> str:
        found = [template for template, pattern in self._paths if pattern.fullmatch(path)]
        if not found:
            raise Complaint(f"{path} is no path of the document")
        return str(min(found, key=lambda template: template.count("{")))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", path))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not (item is None and key in NULLABLE)}
        return {key: _without_nulls(item) for key, item in kept.items()}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _lowered(value: Any) -> Any:
    """The same with fields that begin with lower case."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
