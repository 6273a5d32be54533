"""Encoders tell test from training images by a planted texture that cheap figures do not see, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from podium.cli import app
from podium.config import read_toml, write_toml
from podium.data.competition import Competition
from podium.data.leaks import shift_auc
from podium.errors import ConfigError
from podium.inference.shift import EncoderFeatures, Seen, measured
from podium.ledger.agreement import input_shift
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.standing import Standing
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task
from podium.workspace import Workspace

SPEC = {"name": "x", "data": {"train_images": "train/*.png", "train_masks": "masks/{id}.png"}}
SMALL = ["model.arch=unet", "model.width=0.5", "model.depth=3", "train.precision=fp32", "train.batch_size=8"]
SIDE = 32


def pictures(rng: np.random.Generator, n: int, upright: bool, grain: float = 14.0) -> np.ndarray:
    """Blurred clouds with faint stripes that stand or lie: in brightness and sharpness they are alike."""
    found = []
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(n):
        cloud = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE, 3)), (0, 0), rng.uniform(1, 4))
        cloud = cloud / cloud.std() * rng.uniform(15, 40) + rng.uniform(80, 160)
        stripes = np.where(((x if upright else y) + rng.integers(4)) // 2 % 2, grain, -grain)[..., None]
        found.append((cloud + stripes + rng.normal(0, 6, (SIDE, SIDE, 1))).clip(0, 255).astype(np.uint8))
    return np.array(found)


def cheap(images: np.ndarray) -> np.ndarray:
    """The figures of `podium.data.traits` that are of pixels, standardised."""
    rows = []
    for image in images:
        small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
        grey = small.mean(2)
        sharp = cv2.Laplacian(grey, cv2.CV_32F).std()
        rows.append([*small.mean((0, 1)), grey.std(), sharp, (small.max(2) - small.min(2)).mean()])
    found = np.log1p(np.array(rows))
    return (found - found.mean(0)) / found.std(0)


def eyes(*changes: str) -> EncoderFeatures:
    """A network that was never trained: its first layers tell textures apart all the same."""
    torch.manual_seed(0)
    recipe = Recipe().with_overrides([*SMALL, *changes])
    task = create_task(Competition.from_tree(SPEC), get_metric("dice"), recipe)
    return EncoderFeatures(Predictor(create_fabric("fp32"), [task.create_model()], task))


def look(encoder: EncoderFeatures, train: np.ndarray, test: np.ndarray) -> tuple[Seen, np.ndarray]:
    both = np.concatenate([train, test])
    ids = [f"i{k}" for k in range(len(both))]
    return Seen(encoder.of(both), np.arange(len(both)) >= len(train), ids, ids), both


def test_a_planted_texture_is_seen_by_the_encoder_alone() -> None:
    encoder, rng = eyes(), np.random.default_rng(1)
    seen, both = look(encoder, pictures(rng, 60, False), pictures(rng, 40, True))
    found = measured([seen], "mine")
    assert found is not None
    assert found.shifted
    assert found.auc > 0.85
    assert min(found.test.values()) >= 0
    assert len(found.test) == 40
    assert np.median([*found.test.values()]) > np.median([*found.train.values()]) + 0.2
    _, low, _, _ = shift_auc(cheap(both), seen.test.astype(float), np.array(seen.groups))
    assert low < 0.6


def test_where_nothing_is_planted_hardly_ever_anything_is_seen() -> None:
    """One set of pictures, parted at random sixty times."""
    encoder, rng = eyes(), np.random.default_rng(2)
    features = encoder.of(pictures(rng, 100, True))
    ids, alarms, aucs = [f"i{k}" for k in range(100)], 0, []
    for _ in range(60):
        found = measured([Seen(features, rng.permutation(100) < 40, ids, ids)], "mine")
        assert found is not None
        alarms += found.shifted
        aucs.append(found.auc)
    assert alarms <= 1
    assert abs(np.mean(aucs) - 0.5) < 0.04


def test_groups_stay_together_and_few_of_them_say_nothing() -> None:
    rng = np.random.default_rng(3)
    groups = [f"g{k // 5}" for k in range(100)]  # pictures of a group are alike, and in one part
    features = rng.normal(size=(20, 30))[np.arange(100) // 5] + 0.1 * rng.normal(size=(100, 30))
    test = np.arange(100) // 5 % 2 == 0
    ids = [str(k) for k in range(100)]
    found = measured([Seen(features, test, ids, groups)], "mine")
    assert found is not None
    assert not found.shifted
    torn = measured([Seen(features, test, ids, ids)], "mine")
    assert torn is not None
    assert torn.auc > 0.95  # as if they were of one kind: a classifier would only know the groups again
    assert measured([Seen(features[:40], test[:40], ids[:40], groups[:40])], "mine") is None


@pytest.mark.parametrize("arch", ["unet", "linknet34", "ternausnet11", "smp.FPN"])
def test_every_network_has_features(arch: str) -> None:
    recipe = Recipe().with_overrides([f"model.arch={arch}", "train.precision=fp32"])
    task = create_task(Competition.from_tree(SPEC), get_metric("dice"), recipe)
    encoder = EncoderFeatures(Predictor(create_fabric("fp32"), [task.create_model()], task))
    found = encoder.of(pictures(np.random.default_rng(0), 2, True))
    assert found.shape[0] == 2
    assert found.shape[1] > 100
    assert np.isfinite(found).all()


def test_the_warning_says_where_the_pictures_are() -> None:
    assert input_shift(0.55, 0.7, 0.62, by="attempt 3's encoder") is None
    warned = input_shift(0.7, 0.9, 0.8, by="attempt 3's encoder")
    assert warned is not None
    assert "a classifier on the features of attempt 3's encoder tells test" in warned.said
    assert warned.said.endswith("reports/shift.html shows by which images")


@pytest.mark.slow
def test_in_a_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rng, data = np.random.default_rng(0), tmp_path / "space/data"
    for part, n, upright in (("train", 60, False), ("test", 40, True)):
        (data / part).mkdir(parents=True)
        for k, image in enumerate(pictures(rng, n, upright)):
            Image.fromarray(image).save(data / part / f"{part}{k:02d}.png")
    (data / "masks").mkdir()
    for k in range(60):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[8:20, 8 : 12 + k % 12] = 255
        Image.fromarray(mask).save(data / f"masks/train{k:02d}.png")
    spec = SPEC | {"data": SPEC["data"] | {"test_images": "test/*.png"}, "folds": {"k": 2}}  # type: ignore[operator]
    write_toml(tmp_path / "space/competition.toml", spec)
    (tmp_path / "space/recipes").mkdir()
    recipe = Recipe().with_overrides([*SMALL, "train.epochs=1"])
    (tmp_path / "space/recipes/baseline.toml").write_text(recipe.to_toml())
    space = Workspace(tmp_path / "space")
    with pytest.raises(ConfigError, match="learnt nothing"):
        space.look_shift()
    space.baseline(seeds=1)
    monkeypatch.chdir(space.root)
    app(["look", "--shift"], standalone_mode=False)
    assert (
        "a classifier on the features of attempt 0's encoder tells 40 test from 60 training" in capsys.readouterr().out
    )
    page = (space.root / "reports/shift.html").read_text()
    assert page.count("<figure>") == 18
    assert (space.root / "reports/shift.jpg").is_file()
    known = read_toml(space.root / "reports/shift-encoder.toml")
    warned = Standing(*space._made_of, None)._input_shift()  # type: ignore[arg-type]
    assert (warned is not None) == (known["low"] > 0.6)
    space.look()
    assert 'href="shift.html"' in (space.root / "reports/data.html").read_text()
    weights = space.attempts.get(0).runs[0].folder / "best.pt"
    found = space.look_shift(changes=[f"model.weights={weights}"])
    assert "best.pt" in found.by
