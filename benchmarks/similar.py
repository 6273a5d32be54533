"""Near-duplicate search on planted copies: seconds for describing and searching, recall by kind, precision.

    python benchmarks/similar.py [--n 20000] [--side 256] [--json FILE]
    python benchmarks/similar.py --data DIR      # planted in the real sets there

Drawn images are spectra of real ones (1/f clouds with shapes), each of its own seed, made as they are looked at:
decoding and drawing are not counted. Real images are decoded before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from podium.data.similar import Signatures, Similar, describe, groups_of, join, search_similar
from podium.formats.images import read_image

Image = np.ndarray
GOAL_SECONDS, GOAL_RECALL, GOAL_PRECISION = 120.0, 0.99, 0.95


def jpeg(image: Image, quality: int) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def scale(image: Image, factor: float) -> Image:
    h, w = image.shape[:2]
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (max(1, round(w * factor)), max(1, round(h * factor))), interpolation=how)


def crop(image: Image, top: float, bottom: float, left: float, right: float) -> Image:
    h, w = image.shape[:2]
    return image[round(top * h) : h - round(bottom * h), round(left * w) : w - round(right * w)].copy()


COUNTED: dict[str, Callable[[Image], Image]] = {
    "jpeg 30": lambda x: jpeg(x, 30),
    "jpeg 60": lambda x: jpeg(x, 60),
    "jpeg 95": lambda x: jpeg(x, 95),
    "flip h": lambda x: x[:, ::-1].copy(),
    "flip v": lambda x: x[::-1].copy(),
    "flip h, jpeg 60": lambda x: jpeg(x[:, ::-1].copy(), 60),
    "rotate 180": lambda x: np.rot90(x, 2).copy(),
    "rotate 90": lambda x: np.rot90(x).copy(),
    "scale 90%": lambda x: scale(x, 0.9),
    "scale 110%": lambda x: scale(x, 1.1),
}
OTHERS: dict[str, Callable[[Image], Image]] = {
    "scale 50%": lambda x: scale(x, 0.5),
    "scale 200%": lambda x: scale(x, 2),
    "brighter": lambda x: cv2.convertScaleAbs(x, alpha=1.1, beta=5),
    "darker": lambda x: cv2.convertScaleAbs(x, alpha=0.9),
    "crop 2 px": lambda x: x[2:-2, 2:-2].copy(),
    "crop 3%": lambda x: crop(x, 0.03, 0.03, 0.03, 0.03),
    "crop 5% of two sides": lambda x: crop(x, 0.05, 0, 0, 0.05),
    "flip h, crop 3%, jpeg 75": lambda x: jpeg(crop(x[:, ::-1], 0.03, 0, 0.03, 0.02), 75),
}
PLANTS = COUNTED | OTHERS


def drawn(seed: int, side: int) -> Image:
    """A picture like no other: coloured 1/f noise with a few discs and bars."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side, 3), np.float32)
    for k in range(2, 8):
        cells = min(2**k, side)
        layer = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        image += cv2.resize(layer, (side, side), interpolation=cv2.INTER_LINEAR) / k
    image = 127 + 45 * image
    for _ in range(int(rng.integers(2, 7))):
        colour = tuple(float(c) for c in rng.integers(0, 255, 3))
        x, y, r = (int(v) for v in rng.integers(0, side, 3))
        if rng.random() < 0.5:
            cv2.circle(image, (x, y), r // 5 + 2, colour, -1)
        else:
            cv2.rectangle(image, (x, y), (x + r // 4 + 2, y + r // 6 + 2), colour, -1)
    return np.clip(image, 0, 255).astype(np.uint8)


REPEATED = {
    "houses_price": (
        *(("11_frontal", "30_frontal"), ("12_frontal", "32_frontal"), ("292_frontal", "293_frontal")),
        *(("12_bathroom", "12_bedroom"), ("343_bathroom", "343_kitchen"), ("354_bathroom", "354_bedroom")),
        *((f"271_{room}", f"305_{room}") for room in ("bedroom", "frontal", "kitchen")),
        *((f"59_{room}", f"72_{room}") for room in ("bathroom", "frontal", "kitchen")),
    )
}
"""One photograph used twice, by eye: seven pairs are the same in every pixel, the others correlate above 0.98."""


def score(found: Similar, truth: dict[str, tuple[str, str]], repeated: dict[str, str]) -> dict[str, object]:
    """Recall by kind of plant; precision of the pairs called duplicates.

    Args:
        truth: {planted id: (its source, kind)}.
        repeated: {id: the id of the same photograph} of the set itself.
    """
    groups, source = groups_of(found.duplicates), {id: repeated.get(s, s) for id, (s, _) in truth.items()} | repeated
    hits, total = Counter(), Counter()
    for id, (origin, kind) in truth.items():
        total[kind] += 1
        hits[kind] += id in groups and groups.get(id) == groups.get(origin)
    own = [p for p in found.pairs if p.duplicate and p.a not in truth and p.b not in truth]
    called = [p for p in found.pairs if p.duplicate]
    wrong = [p for p in called if source.get(p.a, p.a) != source.get(p.b, p.b)]
    counted = [k for k in total if k in COUNTED]
    return {
        "recall": sum(hits[k] for k in counted) / max(1, sum(total[k] for k in counted)),
        "precision": 1 - len(wrong) / max(1, len(called)),
        "by_kind": {k: hits[k] / total[k] for k in total},
        "pairs": len(called),
        "own_pairs": len(own),
        "own_wrong": sum(p in wrong for p in own),
        "wrong": [str(p) for p in wrong[:20]],
        "similar_pairs": len(found.pairs) - len(called),
        "similar_from": found.limits.similar,
        "gap": found.gap,
    }


def planted(images: list[tuple[str, Image]], each: int) -> Iterator[tuple[str, str, str, Image]]:
    """(id, source, kind, pixels) of the copies to hide among the images."""
    rng = np.random.default_rng(1)
    fit = [i for i, (_, x) in enumerate(images) if x.std() > 4]
    for kind, change in PLANTS.items():
        for i in rng.choice(fit, min(each, len(fit)), replace=False):
            yield f"~{kind}~{images[i][0]}", images[i][0], kind, change(images[i][1])


def real(root: Path, name: str, pattern: str) -> dict[str, object]:
    images = [(str(p.relative_to(root / name)), read_image(p)) for p in sorted((root / name).glob(pattern))]
    plants = list(planted(images, max(5, len(images) // 20 // len(PLANTS) * 4)))
    everything = images + [(id, pixels) for id, _, _, pixels in plants]
    started = time.perf_counter()
    seen = describe(everything)
    middle = time.perf_counter()
    found = search_similar(seen)
    times = {"describe_s": middle - started, "search_s": time.perf_counter() - middle, "n": len(seen)}
    repeated = {f"images/{b}.jpg": f"images/{a}.jpg" for a, b in REPEATED.get(name, ())}
    return times | score(found, {id: (origin, kind) for id, origin, kind, _ in plants}, repeated)


def synthetic(n: int, side: int) -> dict[str, object]:
    """n images, a fifth of them planted copies; drawn in batches, only the describing of which is timed."""
    truth: dict[str, tuple[str, str]] = {}
    kinds, copies = list(PLANTS), n // 5
    spent, seen = 0.0, None
    for start in range(0, n, 1000):
        batch = []
        for i in range(start, min(start + 1000, n)):
            if i < n - copies:
                batch.append((f"{i:06d}", drawn(i, side)))
            else:
                origin, kind = i - (n - copies), kinds[i % len(kinds)]
                batch.append((f"{i:06d}", PLANTS[kind](drawn(origin, side))))
                truth[f"{i:06d}"] = (f"{origin:06d}", kind)
        began = time.perf_counter()
        part: Signatures = describe(batch)
        seen = part if seen is None else join(seen, part)
        spent += time.perf_counter() - began
    assert seen is not None
    began = time.perf_counter()
    found = search_similar(seen)
    times = {"describe_s": spent, "search_s": time.perf_counter() - began, "n": n, "side": side}
    return times | score(found, truth, {})


SETS = {
    "camvid": "t*/*.jpg",
    "cvc_clinicdb": "images/*",
    "tgs_salt": "images/*",
    "dsb2018": "images/*",
    "houses_price": "images/*",
    "malaria_cells": "images/*",
    "bccd_counts": "images/*",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--data", type=Path, help="plant in the real sets of this folder instead")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: dict[str, dict[str, object]] = {}
    names = [n for n in SETS if (args.data / n).is_dir()] if args.data else ["drawn"]
    for name in names:
        cpu = time.process_time()
        rows[name] = row = real(args.data, name, SETS[name]) if args.data else synthetic(args.n, args.side)
        cpu = time.process_time() - cpu
        seconds = f"describe {row['describe_s']:.1f} s, search {row['search_s']:.1f} s (cpu of all {cpu:.0f} s)"
        goals = (
            f"recall {row['recall']:.4f} (goal {GOAL_RECALL}), precision {row['precision']:.4f} (goal {GOAL_PRECISION})"
        )
        print(f"{name}: {row['n']} images, {seconds}, {goals}", flush=True)
        print("   ", ", ".join(f"{k} {v:.0%}" for k, v in row["by_kind"].items()))  # type: ignore[attr-defined]
        print(f"    the set's own: {row['own_pairs']} pairs, {row['own_wrong']} of them wrong")
        for pair in row["wrong"]:  # type: ignore[attr-defined]
            print("    wrong:", pair, flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {memory:.2f} GB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "goal_seconds": GOAL_SECONDS, "peak_gb": memory}, indent=1))


if __name__ == "__main__":
    main()
