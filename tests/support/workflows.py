"""The scripts that stand in workflows, for those who read shell."""

import re
from pathlib import Path
from typing import Any

EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
PUT_IN = "put-in"


def scripts(workflow: Path) -> dict[str, str]:
    """Each step's script by its name; what the workflow's own language puts in stands as a word."""
    import yaml  # nothing that a fresh machine has

    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return {
        str(step.get("name", f"{job}-{number}")): EXPRESSION.sub(PUT_IN, step["run"])
        for job, about in jobs.items()
        for number, step in enumerate(about.get("steps", []))
        if "run" in step
    }
