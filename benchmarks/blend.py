"""`python -m benchmarks.blend`: a hill-climb over many attempts' masks, and the same by numpy on every pixel.

Draws out-of-fold probabilities of MEMBERS attempts of SAMPLES masks of SIDE x SIDE pixels into pixel stores, as fold
runs leave them, then fits weights by nested hill-climbs. Fewer of the same masks are also climbed the plain way, over
arrays of all pixels, and must give the same weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.harness import machine
from podium.data.competition import Competition
from podium.data.folds import Folds
from podium.data.prepare import TrainStores
from podium.data.preprocess import Preprocess
from podium.data.store import Item, Store, StoreWriter
from podium.ensemble.fit import Fitted, fit
from podium.ensemble.ground import Ground
from podium.ensemble.members import Member, StoredPixels
from podium.ensemble.shares import hill_climb
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.fold_run import FoldData
from podium.training.tasks import create_task

SPEC = {"name": "blobs", "data": {"train_images": "*.png", "train_masks": "{id}_mask.png"}, "folds": {"k": 5}}


def draw(folder: Path, members: int, samples: int, side: int) -> None:
    """Stores `truth` and `member00`, …: blobs, and for each member an opinion about their outlines."""
    rng, levels = np.random.default_rng(0), (255 / (1 + np.exp(-np.linspace(-8, 8, 4097)))).round().astype(np.uint8)
    writers = [StoreWriter(folder / name, []) for name in ("truth", *(f"member{m:02d}" for m in range(members)))]
    for n in range(samples):
        field = cv2.resize(rng.normal(0, 1, (9, 9)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        writers[0].add(Item(f"s{n:05d}", field > 0.4, {}))
        for m, writer in enumerate(writers[1:]):
            grain = rng.normal(0, 0.6 + 0.05 * m, (side // 16, side // 16)).astype(np.float32)
            logits = 6 * (field - 0.4) + cv2.resize(grain, (side, side))
            index = ((np.clip(logits, -8, 8) + 8) * 256).astype(np.int16)
            writer.add(Item(f"s{n:05d}", levels[index][:, :, None], {}))
    for writer in writers:
        writer.finish()


def ground_of(folder: Path, samples: int) -> Ground:
    """The first samples of what `draw` left."""
    competition, metric = Competition.from_tree(SPEC), get_metric("dice")
    truth = Store(folder / "truth")
    ids = truth.ids[:samples]
    fold = {id: n % 5 for n, id in enumerate(ids)}
    stores = TrainStores(truth, truth, truth, [])
    data = FoldData(competition, stores, Folds(fold, {id: id for id in ids}, 5), metric)
    stacks = [Store(path) for path in sorted(folder.glob("member*"))]
    members = [Member(s.folder.name, None, StoredPixels([s], Preprocess.of(None)), None, fold) for s in stacks]
    return Ground.of(create_task(competition, metric, Recipe()), data, members)


def plain(ground: Ground) -> list[int]:
    """The weights that are fitted on all samples, by numpy on every pixel."""
    truth = ground.data.stores.truth
    ids = [truth.ids[row] for row in ground.rows]
    shape = truth.shape(0)
    masks = np.stack([truth.mask(row) for row in ground.rows]).astype(bool)
    probs = np.stack([[source.pixels(id, shape)[:, :, 0] for id in ids] for source in ground.sources])

    def climb(shares: np.ndarray) -> list[float]:
        found, total, parts = [], np.tensordot(shares.astype(np.float32), probs, axes=1), shares.sum() + 1
        for own in probs:
            guess = total + own >= 127.5 * parts
            hit, area = (guess & masks).sum((1, 2)), guess.sum((1, 2)) + masks.sum((1, 2))
            found.append(float(np.where(area > 0, 2 * hit / np.maximum(area, 1), 1).mean()))
        return found

    return hill_climb(climb, len(probs)).tolist()


def own_memory() -> float:
    """Megabytes that this process has of its own now; pages of files, which the system may take back, left out."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def climbed(ground: Ground, *, fast: bool) -> tuple[Fitted, dict[str, float]]:
    """Fit, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    mix, survey = ground.read(fast=fast)
    read, memory = time.perf_counter() - wall, own_memory()
    fitted = fit(ground, "hill-climb", mix, survey)
    whole = time.perf_counter() - wall
    times = {"seconds": whole, "reading": read, "cpu_seconds": time.process_time() - cpu}
    return fitted, {k: round(v, 1) for k, v in (times | {"own_megabytes": max(memory, own_memory())}).items()}


def main() -> None:
    """Draw, fit, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blend", description=__doc__)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--few", type=int, default=20, help="samples that are also climbed the plain way")
    parser.add_argument("--fast", action="store_true", help="as podium blend --fast")
    parser.add_argument("--folder", type=Path, help="where the stores are drawn, and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "truth").exists():
            draw(folder, options.members, options.samples, options.side)
        few = ground_of(folder, options.few)
        fitted, own = climbed(few, fast=False)
        began = time.perf_counter()
        weights = plain(few)
        peer = time.perf_counter() - began
        if weights != fitted.combiner.shares.tolist():  # type: ignore[attr-defined]
            raise SystemExit(f"not the same weights: {weights} and {fitted.combiner}")
        print(
            f"{options.few} masks: the same weights; {own['seconds']} s for six hill-climbs, plain {peer:.1f} s for one"
        )
        fitted, figures = climbed(ground_of(folder, options.samples), fast=options.fast)
    figures_of = {
        "members": options.members,
        "masks": options.samples,
        "side": options.side,
        "fast": options.fast,
        **figures,
    }
    figures_of |= {
        "nested": round(fitted.score, 5),
        "naive": round(fitted.naive, 5),
        "plain_seconds_for_few": round(peer, 1),
    }
    print(json.dumps({k: v for k, v in machine().items() if k in ("processor", "cores", "load")}))
    print(json.dumps(figures_of))


if __name__ == "__main__":
    main()
