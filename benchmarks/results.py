"""Real training, real numbers: the recipe that `podium new` writes, on real data, beside a trivial baseline.

    python -m benchmarks.results --data DIR [--time 4m] [--fold 0] [SET …]

DIR holds a folder for each data set. For each: `podium new`, prepare, one fold run of the recipe within the time, the
score on the validation fold at original size, and the score of a trivial prediction there: of masks the better of
nothing and the mean training mask, of classes the shares of the training samples, of numbers their mean or median.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from benchmarks.harness import machine
from podium.data.store import Store
from podium.errors import PodiumError
from podium.metrics import Measured
from podium.training.fold_run import FoldData, run_fold
from podium.training.tasks import MaskTask, TableTask, Values, create_task
from podium.workspace import Workspace

SETS = ("tgs_salt", "cvc_clinicdb", "dsb2018", "camvid", "malaria_cells", "houses_price", "bccd_counts", "carvana")


def main() -> None:
    """Train on the sets that were asked for; print a table, save JSON, and write it into the docs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each set")
    parser.add_argument("--time", default="4m", help="train.time of a fold run, preparation included")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--recipe", default="baseline")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of the recipe")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/training.json"))
    parser.add_argument("--page", type=Path, help="Markdown page to write the table into")
    options = parser.parse_args()
    record = json.loads(options.json.read_text()) if options.json.exists() else {"results": {}}
    record["machine"] = machine()
    for name in options.names or SETS:
        with tempfile.TemporaryDirectory(prefix="podium-results-") as folder:
            result = one(options.data / name, Path(folder), options)
        record["results"][name] = result
        print(row(name, result), flush=True)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.page:
        write_page(options.page, record)


def one(source: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The result on one set."""
    began = time.monotonic()
    workspace = Workspace.new(folder / "work", source)
    recipe = workspace.recipe(options.recipe).with_overrides([f"train.time={options.time}", *options.set])
    prepared = workspace.prepare(recipe, exclude_bad=True)
    spent = time.monotonic() - began
    data = FoldData(
        workspace.competition,
        prepared.stores,
        prepared.folds,
        workspace.metric,
        samples=prepared.samples,
        opened=prepared.opened,
    )
    run = run_fold(data, recipe, options.fold, 0, folder / "attempt", spent=spent)
    took = time.monotonic() - began
    history = pl.read_csv(run.folder / "history.csv")
    return {
        "metric": workspace.metric.name,
        "score": run.score,
        "trivial": trivial(data, recipe, options.fold),
        "greater_is_better": workspace.metric.greater_is_better,
        "samples": len(prepared.folds.fold),
        "validated": len(prepared.folds.validation(options.fold)),
        "folds": workspace.competition.folds.strategy,
        "budget": options.time,
        "seconds": round(took, 1),
        "epochs": len(history),
        "images_per_s": run.facts["images_per_s"],
        "arch": recipe.model.arch,
        "size": recipe.input.size or recipe.input.train_crop,
    }


def trivial(data: FoldData, recipe: Any, fold: int) -> float:
    """The better score of the predictions that anybody could make without looking at the image."""
    task = create_task(data.competition, data.metric, recipe)
    ids, row = data.stores.images.ids, data.stores.images.row
    train, val = ([row[i] for i in which] for which in (data.folds.training(fold), data.folds.validation(fold)))
    truth = data.truth
    if isinstance(truth, Values):
        assert isinstance(task, TableTask)
        task.fit(truth.take(train))
        known, asked = truth.targets[train], task.truth(truth.targets[val])
        if task.kind == "values":
            guesses = [known.mean(0), np.median(known, 0)]
        else:
            guesses = [task.encode(known).mean(0)]
        found = [task.predicted(np.repeat(g[None].astype(np.float32), len(val), 0)) for g in guesses]
        scores = [Measured.of_table(asked, f).score(data.metric) for f in found]
    else:
        assert isinstance(task, MaskTask)
        scores = [score_of(task, truth, val, guess) for guess in guesses_of_masks(task, truth, train)]
    assert len(ids)
    return float(max(scores) if data.metric.greater_is_better else min(scores))


def guesses_of_masks(task: MaskTask, truth: Store, train: list[int]) -> list[Any]:
    """Functions from a shape to a prediction: nothing, or the mean of the training masks."""
    size = (64, 64)
    total: Any = 0
    for row in train:
        mask = task.truth(truth, row)
        planes = mask[None] > 0 if mask.ndim == 2 and mask.dtype != np.uint8 else mask
        if mask.ndim == 2 and mask.dtype == np.uint8:
            planes = np.stack([mask == k for k in range(task.outputs)])
        total = total + np.stack([cv2.resize(p.astype(np.float32), size, interpolation=cv2.INTER_AREA) for p in planes])
    mean = total / len(train)

    def whole(shape: tuple[int, int]) -> Any:
        planes = np.stack([cv2.resize(p, shape[::-1]) for p in mean])
        if planes.shape[0] == task.outputs and task.kind == "labels":
            return planes.argmax(0).astype(np.uint8)
        return (planes[0] > 0.5).astype(np.int32) if task.names[:1] == ["inside"] else planes > 0.5

    def nothing(shape: tuple[int, int]) -> Any:
        return np.zeros_like(whole(shape))

    return [whole, nothing]


def score_of(task: MaskTask, truth: Store, rows: list[int], guess: Any) -> float:
    """The score of predicting ``guess(shape)`` for each of ``rows``."""
    counts = np.stack([task.compare(guess(truth.shape(row)), task.truth(truth, row)) for row in rows])
    return Measured.of_counts(task.metric.kind, counts).score(task.metric)


def row(name: str, r: dict[str, Any]) -> str:
    """One line of the table."""
    size = "x".join(map(str, r["size"])) if isinstance(r["size"], list) else r["size"] or "as they are"
    minutes = f"{r['seconds'] / 60:.1f} of {r['budget']}"
    return (
        f"| {name} | {r['metric']} | {r['trivial']:.4f} | **{r['score']:.4f}** | {minutes} "
        f"| {r['samples']}, {r['validated']} validated ({r['folds']}) | {r['arch']}, {size} | {r['epochs']} "
        f"| {r['images_per_s']:.0f} |"
    )


HEAD = """| set | metric | trivial | podium | minutes | samples | network, input | epochs | images/s |
|---|---|---|---|---|---|---|---|---|
"""


def write_page(page: Path, record: dict[str, Any]) -> None:
    """Put the table between the page's two comment lines."""
    text = page.read_text()
    before, _, rest = text.partition("<!-- results -->\n")
    _, _, after = rest.partition("<!-- end of results -->")
    if not after:
        raise PodiumError("no results part", where=page, expected="<!-- results --> … <!-- end of results -->")
    m = record["machine"]
    told = f"Measured on {m['processor']}, {m['cores']} cores.\n\n"
    table = HEAD + "".join(row(name, r) + "\n" for name, r in record["results"].items())
    page.write_text(f"{before}<!-- results -->\n{told}{table}<!-- end of results -->{after}")


if __name__ == "__main__":
    main()
