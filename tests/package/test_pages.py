"""The pages of docs/ name what is there: rooms, files, commands, options, places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from scanlearn.cli import application

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "scanlearn"
DOCS = REPOSITORY / "docs"
EXAMPLE, BENCHMARKS = DOCS / "examples", REPOSITORY / "benchmarks"
TESTS = REPOSITORY / "tests"
PAGES = [*sorted(DOCS.glob("*.md")), REPOSITORY / "README.md"]
COMMANDS = typer.main.get_command(application).commands
ARCHITECTURE = (DOCS / "architecture.md").read_text("utf-8")
COMMAND_LINE = (DOCS / "command_line.md").read_text("utf-8")

#: What a table names of a room that is yet to be made, and of a cohort and a run.
MADE_UP = re.compile(r"NAME|KEY|ATLAS|^(checkpoints|inputs|previews|painted)/")


def house(page: str, number: int) -> str:
    """Return a tree of the page: 0 is the house, 1 that of the docks."""
    return re.findall(r"^```\n(.*?)^```$", page, re.S | re.M)[number]


def things(folder: Path) -> list[str]:
    """Return the modules and rooms of a folder as a tree names them."""
    rooms = [f"{path.parent.name}/" for path in folder.glob("*/__init__.py")]
    return sorted([*rooms, *(path.name for path in folder.glob("*.py"))])


def named_paths(text: str) -> list[str]:
    """Return what stands in backquotes and is a path: with a slash, or a module."""
    words = re.findall(r"`([\w./]+)`", text)
    paths = [w for w in words if re.fullmatch(r"[\w./]*/[\w./]*|\w+\.py", w)]
    return [path for path in paths if not MADE_UP.search(path)]


def found(path: str) -> bool:
    """Whether a path is there; a module without its room, anywhere."""
    if "/" in path:
        return any((p / path).exists() for p in (SOURCE, REPOSITORY, DOCS, EXAMPLE))
    return any(
        next(p.rglob(path), None) is not None for p in (SOURCE, BENCHMARKS, TESTS)
    )


def places(page: str) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = [
        re.sub(r"[`*]", "", h).lower() for h in re.findall(r"^#+ (.*)$", page, re.M)
    ]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    ("number", "folder"), [(0, SOURCE), (1, SOURCE / "gui")], ids=["house", "docks"]
)
def test_the_trees_name_every_room_and_module(number, folder) -> None:
    shown = house(ARCHITECTURE, number).split()
    left = [name for name in things(folder) if name not in shown]
    assert [name for name in left if name != "__init__.py"] == []


@pytest.mark.parametrize(
    ("number", "folder"), [(0, SOURCE), (1, SOURCE / "gui")], ids=["house", "docks"]
)
def test_the_trees_name_nothing_else(number, folder) -> None:
    room, gone = folder, []
    for line in house(ARCHITECTURE, number).splitlines():
        names = re.findall(r"(?<!\S)\w+(?:\.py|/)(?!\S)", line)
        if names and not line.startswith(" "):
            room = folder / names[0]
        gone += [n for n in names if not any((p / n).exists() for p in (folder, room))]
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_are_there(page) -> None:
    named = named_paths(page.read_text("utf-8"))
    assert [path for path in named if path.endswith(".py") and not found(path)] == []


def test_paths_of_the_architecture_are_there() -> None:
    assert [path for path in named_paths(ARCHITECTURE) if not found(path)] == []


def test_paths_that_are_not_there_are_found() -> None:
    text = "`config/nothing.py`, `gone.py`, `gui/`, `a word`, `tasks/NAME/`"
    assert named_paths(text) == ["config/nothing.py", "gone.py", "gui/"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_command_line_names_every_command(name) -> None:
    assert re.search(rf"`scanlearn {name}\b(?!-)", COMMAND_LINE), name


def synopses() -> list[tuple[str, str]]:
    """Return command and option of every line of the table of commands."""
    found = []
    for words in re.findall(r"`scanlearn ([^`]+)`", COMMAND_LINE):
        options = re.findall(r"(?<![\w-])--[a-z][a-z-]*", words.replace("\\|", " "))
        found += [(words.split()[0], option) for option in options]
    return sorted(set(found))


@pytest.mark.parametrize(("name", "option"), synopses())
def test_options_are_those_of_the_command(name, option) -> None:
    known = {o for p in COMMANDS[name].params for o in (*p.opts, *p.secondary_opts)}
    assert option in known | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        path, _, place = target.partition("#")
        goal = page.parent / path if path else page
        missing = not goal.exists()
        if missing or (place and place not in places(goal.read_text("utf-8"))):
            dead.append(target)
    assert dead == []
