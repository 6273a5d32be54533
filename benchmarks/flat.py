"""The memory that a validation takes, of more and more images: python -m benchmarks.flat [--most 100000]

Each number of images is validated by a process of its own: a network of one convolution, whose predictions are scored
against stored masks at their own size. Only a few numbers a sample may stay.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch

from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor, evaluate
from podium.training.tasks import create_task

SIDE = 64


class Same:
    """As many copies of one image and of its mask as are asked for: what is stored is not in memory either way."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.picture = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        self.mask = rng.integers(0, 256, (SIDE, SIDE // 8), np.uint8)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width)."""
        return SIDE, SIDE

    def image(self, i: int) -> Any:
        """uint8 (H, W, 3)."""
        return self.picture

    def raw(self, i: int) -> Any:
        """The bit-packed mask."""
        return self.mask


def one(count: int) -> dict[str, float]:
    """Peak memory in MB before and after validating so many images, and the seconds it took."""
    from benchmarks.training import COMPETITION
    from podium.data.competition import Competition

    task = create_task(Competition.from_tree(COMPETITION), get_metric("dice"), Recipe())
    predictor = Predictor(create_fabric("fp32"), [torch.nn.Conv2d(3, 1, 1)], task, while_training=True)
    data: Any = Same()
    evaluate(predictor, data, data, range(256))
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.monotonic()
    evaluate(predictor, data, data, range(count))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images": count, "before_mb": before, "after_mb": after, "seconds": time.monotonic() - begun}


def main() -> None:
    """Print a line a number of images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flat", description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    for count in (options.most // 100, options.most // 10, options.most):
        command = [sys.executable, "-m", "benchmarks.flat", "--one", str(count)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        grown = found["after_mb"] - found["before_mb"]
        kept = 24 * count / 1e6
        print(
            f"{count:7,} images: {found['after_mb']:.0f} MB at most, {grown:.1f} MB more than after 256 images "
            f"(their scores take {kept:.1f}, their predictions would {SIDE * SIDE * count / 1e6:,.0f}), "
            f"{found['seconds']:.0f} s"
        )


if __name__ == "__main__":
    main()
