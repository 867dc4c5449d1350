"""What an image tells of itself, from what its own programs and files say."""

import subprocess
from pathlib import Path

from image.release.inspection import PIECES

LICENCES = """\
This page is made with these packages.


@codemirror/state 6.7.6
------------------------------------------------------------------------
MIT License

Copyright (C) 2018 by Marijn Haverbeke
version 2.0 of the licence
section 3


preact 11.2.0
------------------------------------------------------------------------
The MIT License
"""


def test_the_pages_packages_are_the_titles_of_its_licences_and_nothing_in_them(tmp_path: Path) -> None:
    (tmp_path / "licences.txt").write_text(LICENCES, encoding="utf-8")
    command = PIECES["npm"].replace("/opt/jarvis/app/static/", f"{tmp_path}/")
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.splitlines() == ["@codemirror/state 6.7.6", "preact 11.2.0"]
