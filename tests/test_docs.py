"""The documentation is true: its commands run and print what is shown, its links resolve, its reference is current.

A block marked `<!-- run -->` is run: the lines of a console block that begin with `$` as shell commands that must exit
with 0, or with 1 after `<!-- run: fails -->`, and each line of output shown must be printed, numbers apart; `…` stands
for any text. A python block is run where the commands have led to. The blocks of a page share a folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawing import draw, tiny_competition
from podium import errors
from podium.cli import reference
from podium.data.competition import Competition
from podium.demo.cars import make_competition
from podium.formats import rle
from podium.recipe import Recipe
from task_drawing import draw_task

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^<!-- run(?P<fails>: fails)? -->\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def salt(folder):
    """In the likeness of TGS Salt: column-major runs, 16-bit masks, 8-bit where they are empty, some full."""
    rng = np.random.default_rng(0)
    rows, depths = ["id,rle_mask"], ["id,z"]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for n in range(40):
        image, mask = draw(rng, (101, 101))
        mask = (mask & (n % 3 > 0)) | (n % 7 == 1)
        cv2.imwrite(str(folder / f"images/{n:010x}.png"), image)
        cv2.imwrite(
            str(folder / f"masks/{n:010x}.png"), mask.astype(np.uint16) * 65535 if mask.any() else mask.astype(np.uint8)
        )
        rows.append(f"{n:010x},{rle.encode(mask, 'column')}")
        depths.append(f"{n:010x},{n}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    (folder / "depths.csv").write_text("\n".join(depths) + "\n")


def cells(folder):
    tiny_competition(folder, 12, 2, images="images/{id}.png", masks="masks/{id}.png", test_groups=0)


def damaged(folder):
    cells(folder)
    image = folder / "images/car3_01.png"
    image.write_bytes(image.read_bytes()[:200])


def few_cars(folder):
    make_competition(folder / "data", folder / "solution.csv", train_cars=3, test_cars=2)


def shades(folder):
    draw_task(folder.parent / "drawn", "one class", 48)
    (folder.parent / "drawn/data").rename(folder)


NEEDS = {
    "docs/how-to/attempts.md": {"cells-data": cells},
    "README.md": {"tgs_salt": salt},
    "docs/tutorial.md": {"podium-demo": few_cars},
    "docs/how-to/bring-your-own-data.md": {"cells-data": cells},
    "docs/how-to/cache.md": {"cells-data": cells},
    "docs/how-to/climb.md": {"cells-data": cells},
    "docs/how-to/clean.md": {"cells-data": damaged},
    "docs/how-to/doctor.md": {"cells-data": cells},
    "docs/how-to/export.md": {"cells-data": cells},
    "docs/how-to/folds.md": {"cells-data": cells},
    "docs/how-to/host.md": {"tgs_salt": salt},
    "docs/how-to/recipes.md": {"cells-data": cells},
    "docs/how-to/losses-and-rates.md": {"cells-data": cells},
    "docs/how-to/models.md": {},
    "docs/how-to/predict.md": {"cells-data": cells},
    "docs/how-to/pretrained.md": {"cells-data": cells},
    "docs/how-to/python.md": {"cells-data": cells},
    "docs/how-to/submit.md": {"cells-data": cells},
    "docs/how-to/tasks.md": {"shades-data": shades},
    "docs/how-to/training.md": {"podium-demo": few_cars},
    "docs/how-to/troubleshooting.md": {"cells-data": cells},
    "docs/explanation/verdicts.md": {},
}


def plain(line):
    """A line with every number (and id that begins with one) as 0."""
    return " ".join(re.sub(r"[-+]?\d[\w.:+%-]*\*?", "0", line).split())


def shown(line, printed):
    pattern = ".*".join(re.escape(part) for part in plain(line).split("…"))
    return any(re.fullmatch(pattern, other) for other in printed)


class Shell:
    """Commands one after another; `cd` lasts."""

    def __init__(self, folder):
        self.folder, self.state = folder, folder.parent / "where"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "COLUMNS": "120", "OMP_NUM_THREADS": "1"}

    def run(self, command, code):
        script = f'{command}\ncode=$?; pwd > "{self.state}"; exit $code'
        output = self._run(["bash", "-c", script], command, code)
        self.folder = Path(self.state.read_text().strip())
        return output

    def python(self, text):
        self._run([sys.executable, "-c", text], text, 0)

    def _run(self, words, command, code):
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{command}\nexit {done.returncode}, expected {code}\n{done.stdout}"
        return done.stdout


def run_console(shell, text, code):
    commands = re.split(r"^\$ ", text.replace("\\\n", ""), flags=re.MULTILINE)
    assert not commands[0].strip(), "a console block begins with a command"
    for part in commands[1:]:
        command, _, output = part.partition("\n")
        printed = shell.run(command, code)
        lines = [plain(line) for line in printed.splitlines()]
        for line in filter(str.strip, output.splitlines()):
            assert shown(line, lines), f"the page shows\n{line}\nbut `{command}` printed\n{printed}"


def test_every_page_with_blocks_to_run_is_run():
    assert {str(p.relative_to(ROOT)) for p in PAGES if BLOCK.search(p.read_text())} == set(NEEDS)
    marks = {p.name: p.read_text().count("<!-- run") - len(BLOCK.findall(p.read_text())) for p in PAGES}
    assert not any(marks.values()), f"a mark without a block: {marks}"


@pytest.mark.slow
@pytest.mark.parametrize("page", NEEDS)
def test_what_the_page_shows_is_what_happens(page, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    for name, make in NEEDS[page].items():
        make(folder / name)
    shell = Shell(folder)
    for block in BLOCK.finditer((ROOT / page).read_text()):
        if block["kind"] == "python":
            shell.python(block["text"])
        else:
            run_console(shell, block["text"], 1 if block["fails"] else 0)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{target}: no such heading"


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        links = [
            (page.parent / t.partition("#")[0]).resolve() for t in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        ]
        todo += [p for p in links if p.suffix == ".md" and p.exists() and p not in seen]
    assert seen == set(PAGES)


def test_nothing_names_a_machine_or_a_registry():
    words = [r"(?<![\w.])/" + "work" + r"\b", r"\bshared" + "/", "/ro" + "ot/", r"pypi\." + "org", "python" + "hosted"]
    pattern = re.compile("|".join(words))
    files = [p for part in ("src", "tests", "docs") for p in (ROOT / part).rglob("*") if p.is_file()]
    files += [p for p in ROOT.iterdir() if p.is_file() and p.name != ".git"]
    found = []
    for file in files:
        if "__pycache__" in file.parts or ".egg-info" in str(file):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found += [f"{file.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_the_reference_is_current():
    for name, text in reference.pages().items():
        assert (ROOT / "docs/reference" / name).read_text() == text, f"{name} is out of date: run make docs"
    assert {p.name for p in (ROOT / "docs/reference").iterdir()} == set(reference.pages())


@pytest.mark.parametrize("name", reference.commands())
def test_every_command_and_option_has_a_help(name):
    command = reference.commands()[name]
    assert command.help
    assert all(p.help for p in command.params)


@pytest.mark.parametrize("schema", [Recipe, Competition])
def test_every_field_has_a_help(schema):
    assert [key for key, field in reference.fields(schema) if not field.description] == []


def test_every_kind_of_error_is_in_the_troubleshooting():
    text = (ROOT / "docs/how-to/troubleshooting.md").read_text()
    assert [e.__name__ for e in errors.PodiumError.__subclasses__() if e.__name__ not in text] == []


def test_every_class_of_keys_is_in_the_how_to():
    text = (ROOT / "docs/how-to/recipes.md").read_text()
    keys = [f"`[[{name}]]`" if name == "phases" else f"`[{name}]`" for name in Recipe.model_fields]
    assert [key for key in keys if key not in text] == []


def test_the_two_commands():
    readme, makefile, ci = ((ROOT / name).read_text() for name in ("README.md", "Makefile", ".ci/run"))
    for target in ("demo", "test", "check", "docs"):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE)
    assert readme.index("make demo") < readme.index("make test") < readme.index("podium new")
    assert re.search(r"^make check$", ci, re.MULTILINE)
    assert re.search(r"^make test$", ci, re.MULTILINE)
