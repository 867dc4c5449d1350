"""A page that lies is a defect: what documents say is read against what is there."""

import re
import shutil
from pathlib import Path

import pytest

from docs import written
from fly.errors import SettingsError
from fly.settings import VARIABLES
from tasks import ns

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = {name: written.arguments(ns[name]) for name in ns.task_names}

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
GUIDES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("runbook", "security", "troubleshooting")),
]
"""Pages for operators: the other variables, of the server inside the image, are the design's business."""
PARAMETERS = {
    name: {str(one.name).replace("_", "-") for one in options} for name, options in ARGUMENTS.items()
}


def test_the_readmes_tables_are_what_the_code_says() -> None:
    said = written.README.read_text(encoding="utf-8")
    assert said == written.readme(ns, VARIABLES), "run: invoke docs"


def test_the_command_reference_is_what_the_code_says() -> None:
    said = written.COMMANDS.read_text(encoding="utf-8")
    assert said == written.command_reference(ns), "run: invoke docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    code = re.findall(r"`(?:\./bin/)?invoke ([a-z.-]+)([^`\n]*)`", page.read_text(encoding="utf-8"))
    code += re.findall(r"^\./bin/invoke ([a-z.-]+)([^#\n]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    unknown = [
        f"invoke {verb} {option}"
        for verb, rest in code
        for option in re.findall(r"--([a-z-]+)", rest)
        if verb in PARAMETERS and option not in PARAMETERS[verb] | {"help"}
    ]
    assert unknown == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_variable_that_a_guide_names_exists(page: Path) -> None:
    named = set(re.findall(r"\b(?:JARVIS|FLY)_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert named - set(VARIABLES) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_that_a_page_names_exists(page: Path) -> None:
    code = re.findall(r"`[^`\n]*`|^    .*$|^\./bin/invoke.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    named = {verb for text in code for verb in re.findall(r"(?:^|[`/ ])invoke ([a-z]+(?:[.-][a-z]+)*)", text)}
    known = {name for names in ns.task_names.items() for name in (names[0], *names[1])}
    assert named - known == set()


def test_the_design_names_files_that_exist() -> None:
    layout = (ROOT / "docs/design.md").read_text(encoding="utf-8").split("## Layout")[1].split("```")[1]
    missing, folders = [], {0: ROOT}
    for line in layout.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{3,}| …", line.strip())[0].split()
        for name in names:
            place = folders[depth] / name
            if name.endswith("/"):
                folders[depth + 1] = place
            if not any(candidate.exists() for candidate in (place, place.parent / f"{place.name}.py")):
                missing.append(f"{place.relative_to(ROOT)}")
    assert missing == []


def test_every_task_says_what_it_does_and_what_its_options_mean() -> None:
    silent = [
        f"{name} {argument.name}"
        for name, arguments in ARGUMENTS.items()
        for argument in arguments
        if not argument.help
    ]
    assert silent == []
    assert [name for name in ns.task_names if not (ns[name].__doc__ or "").strip()] == []


def test_the_site_is_built_without_a_broken_link_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    written.build_site(tmp_path / "site")
    built = sorted((tmp_path / "site").glob("*.html"))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {page.stem for page in built}
    loaded = r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//"
    loaded += r"|<link[^>]*rel=\"?(?:stylesheet|preconnect|icon)[^>]*href=\"?(?:https?:)?//"
    assert [page.name for page in built if re.search(loaded, page.read_text(encoding="utf-8"))] == []


def test_a_folder_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SettingsError, match="something else"):
        written.build_site(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_site_with_a_broken_link_is_not_built(tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "security.md").open("a", encoding="utf-8") as page:
        page.write("\n[gone](nowhere.md)\n")
    with pytest.raises(SettingsError, match=r"nowhere\.md"):
        written.build_site(tmp_path / "site", tmp_path)
