"""`podium demo`: the whole loop on a small competition rendered on the spot, by the commands a user would type."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from podium.demo.cars import make_competition
from podium.errors import ConfigError
from podium.files import is_complete, mark_complete
from podium.progress import duration, say

DONE = "lap"
Stage = tuple[str, str]

STAGES: tuple[Stage, ...] = (
    (
        "A competition: 24 cars turned through 16 views each. Of 8 cars the masks are hidden: the board has them.",
        "new {space} --from {data} --solution {solution} folds.k=3 board.daily_limit=20",
    ),
    ("What is in the data, and what is wrong with it? Pictures are in reports/data.html.", "-C {space} look"),
    (
        "Decode every image once, pack it for training, and split into folds - by car: views of one car in training "
        "and validation would make the validation too good to be true.",
        "-C {space} prepare",
    ),
    (
        "The first champion: a small UNet, one training a fold. Each image is predicted by the one network that has "
        "not seen its car; that is the CV score.",
        "-C {space} baseline train.epochs={epochs}",
    ),
    (
        "An attempt is parent + change + why. Most ideas do not work, some work really well; this was the first big "
        "YES on Carvana: a VGG encoder (TernausNet).",
        "-C {space} try ternausnet model.arch=ternausnet11 model.width=0.25 optim.lr=0.001 "
        "--why 'a VGG encoder was the first big YES on Carvana'",
    ),
    ("Predict the 8 unseen cars with each attempt's 3 networks together, and hand both in.", "-C {space} predict 0"),
    ("", "-C {space} submit -m 'first'"),
    ("", "-C {space} predict 1"),
    ("", "-C {space} submit -m 'ternausnet'"),
    (
        "The board. CV is what you know, public is what everybody sees, private decides in the end - here it is "
        "revealed at once. Trust an attempt when all three move together.",
        "-C {space} standings --reveal",
    ),
)


def run_demo(folder: Path, podium: Callable[[Sequence[str]], object], *, train_cars: int = 16, epochs: int = 6) -> None:
    """Make the competition in ``folder`` and lap once.

    Args:
        folder: Gets `data/`, `solution.csv` and the workspace `cars/`.
        podium: Runs one command line, as the shell would.
        train_cars: Number of training cars; fewer for a quicker lap.
        epochs: Epochs of each training.

    Raises:
        ConfigError: if the folder has a lap already, or something else.
    """
    space = folder / "cars"
    if space.exists():
        done = is_complete(folder)
        raise ConfigError(
            "a demo was made here before" if done else "there is a demo here that was stopped",
            where=folder,
            remedy=f"look at it: cd {space} && podium standings; or make another: podium demo OTHER-DIR"
            if done
            else f"go on with it: cd {space} && podium resume; or remove it: rm -r {folder}",
        )
    started = time.monotonic()
    say(f"== podium demo: from nothing to a leaderboard, in {folder}")
    say("Rendering a competition in the likeness of Carvana image masking ...")
    data, solution = (
        make_competition(folder / "data", folder / "solution.csv", train_cars=train_cars),
        folder / "solution.csv",
    )
    for story, command in STAGES:
        if story:
            say(f"\n== {story}")
        words = command.format(space=space, data=data, solution=solution, epochs=epochs)
        say(f"$ podium {words}")
        podium(shlex.split(words))
    mark_complete(folder)
    say(
        f"\n== One lap in {duration(time.monotonic() - started)}. Yours now:\n"
        f"   cd {space}\n"
        "   podium try more-epochs train.epochs=20 --why 'it was still improving'\n"
        "   podium attempts\n"
        "   podium predict more-epochs && podium submit -m 'more epochs' && podium standings\n"
        "and on data of your own:\n"
        "   podium new my-competition --from FOLDER --hold-out 0.2"
    )
