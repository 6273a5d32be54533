"""Do the two small ImageNet networks beat random weights on real data?

    python -m benchmarks.pretrained --data ../shared/data

The same recipe with and without `model.weights`, on fold 0 (by sequence, by patient), for each seed: the same folds,
batches and augmentation, a few epochs. Prints the competition's metric out of fold, and by how much weights are better.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from podium.training.fold_run import FoldData, run_fold
from podium.workspace import Workspace

COMPARISONS: dict[str, tuple[str, str, list[str]]] = {
    "cvc_clinicdb, smp.Unet on squeezenet1_1": (
        "cvc_clinicdb",
        "weights_squeezenet11",
        [
            *("model.arch=smp.Unet", "model.width=1.0", "model.encoder=squeezenet1_1", "input.size=[96,128]"),
            *("optim.lr=5e-4", "train.epochs=4", "train.batch_size=8"),
        ],
    ),
    "malaria_cells, smp.Classifier on mobilenet_v2_tf": (
        "malaria_cells",
        "weights_mobilenet_v2",
        [
            *("model.arch=smp.Classifier", "model.encoder=mobilenet_v2_tf", "model.encoder_norm=frozen"),
            *("optim.lr=5e-4", "train.epochs=1", "train.batch_size=32"),
        ],
    ),
}
"""{what: (data set, folder of weights, settings)}."""

FROM_SCRATCH = ["model.encoder_norm=own"]
"""Random weights need norms that learn."""


def compare(data: Path, seeds: list[int], folder: Path, name: str) -> dict[str, list[float]]:
    """{"random": scores, "pretrained": scores}, one a seed."""
    source, weights, settings = COMPARISONS[name]
    workspace = Workspace.new(folder / source, data / source)
    base = workspace.recipe().with_overrides(settings)
    prepared = workspace.prepare(base)
    stores, folds = prepared.stores, prepared.folds
    fold_data = FoldData(workspace.competition, stores, folds, workspace.metric, prepared.samples)
    arms = {"random": FROM_SCRATCH, "pretrained": [f"model.weights={data / weights}"]}
    scores: dict[str, list[float]] = {arm: [] for arm in arms}
    for seed in seeds:
        for arm, changes in arms.items():
            started = time.monotonic()
            run = run_fold(fold_data, base.with_overrides(changes), 0, seed, folder / f"{source}-{arm}")
            scores[arm].append(run.score)
            seconds = time.monotonic() - started
            print(f"  {arm:10} seed {seed}: {workspace.metric.name} {run.score:.4f} in {seconds:.0f} s", flush=True)
    return scores


def main() -> None:
    """Compare, and print a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets and the weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", help="part of the name of one comparison")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = {}
    for name in COMPARISONS:
        if args.only and args.only not in name:
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory(prefix="podium-pretrained-") as folder:
            result[name] = scores = compare(args.data.resolve(), args.seeds, Path(folder), name)
        gains = [b - a for a, b in zip(scores["random"], scores["pretrained"], strict=True)]
        means = {arm: statistics.mean(values) for arm, values in scores.items()}
        print(
            f"{name}: random {means['random']:.4f}, pretrained {means['pretrained']:.4f}, "
            f"gains {', '.join(f'{g:+.4f}' for g in gains)}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
