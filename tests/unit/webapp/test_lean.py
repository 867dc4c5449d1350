"""The Agent SDK as the server imports it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[3]
STORY = """
import sys
from webapp.session import Session
heavy = {"mcp", "pydantic", "jsonschema", "httpx2"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
import jsonschema
jsonschema.validate("a", {"type": "string"})
import mcp.types
assert mcp.types.Tool.__module__.startswith("mcp")
"""


def test_it_brings_nothing_along_that_is_not_used_and_hides_nothing_from_others() -> None:
    environment = os.environ | {"PYTHONPATH": f"{HERE}:{HERE / 'image'}"}
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
