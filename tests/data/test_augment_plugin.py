"""Plug-ins: loaded once, seeded by sample, checked; the libraries they come from are optional."""

import threading

import numpy as np
import pytest

from podium.data.augment import augment, load_extra
from podium.data.geometry import Canvas
from podium.errors import ConfigError, DataError
from podium.recipe import AugmentConfig

PLAIN = {"hflip": 0, "warp": 0, "colour": 0}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plug-in file; the current folder is below it, as in a workspace."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    def write(text, name="mine"):
        file = f"{name}_{abs(hash(text))}.py"
        (tmp_path / file).write_text(text)
        return f"{file}:{name}"

    return write


def sample(seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 48), np.uint8)
    mask[8:30, 20:40] = 1
    return rng.integers(0, 60, (48, 48, 3), dtype=np.uint8) + mask[:, :, None] * np.uint8(150), mask


def run(spec, seed=0, **changes):
    config = AugmentConfig.from_tree(PLAIN | changes | {"extra": spec})
    return augment(config, Canvas(48, 48), np.random.default_rng(seed), *sample())


def follows(image, mask):
    seen, told = image[:, :, 0] > 100, mask > 0
    return (seen & told).sum() > 0.9 * (seen | told).sum()


def check_library(spec):
    """The same by seed, in whatever thread; the mask follows; the source stays."""
    first = [run(spec, s) for s in range(6)]
    assert len({image.tobytes() for image, _ in first}) > 3
    assert all(follows(*pair) for pair in first)
    results = {}

    def work(seeds):
        for s in seeds:
            results[s] = run(spec, s)

    threads = [threading.Thread(target=work, args=(part,)) for part in (range(0, 6, 2), range(1, 6, 2))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for s, (image, mask) in enumerate(first):
        assert (results[s][0] == image).all()
        assert (results[s][1] == mask).all()


def test_a_function_changes_both(plugin):
    spec = plugin("def mine(image, mask):\n    image[:] = 255 - image\n    return image, mask[:, ::-1]\n")
    image, mask = sample()
    out, out_mask = run(spec)
    assert (out == 255 - image).all()
    assert (out_mask == mask[:, ::-1]).all()
    assert (sample()[0] == image).all()
    assert (run(spec, strength=0)[0] == image).all()


@pytest.mark.parametrize("signature", ["image, mask, rng", "image, mask, *, rng"])
def test_a_function_may_ask_for_the_generator_of_the_sample(plugin, signature):
    spec = plugin(f"def mine({signature}):\n    return image + rng.integers(9, dtype='u1'), mask\n")
    values = [run(spec, s)[0] for s in range(8)]
    assert all((a == run(spec, s)[0]).all() for s, a in enumerate(values))
    assert len({a.tobytes() for a in values}) > 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def yours(image, mask): ...\n", "nothing in the file is called 'mine'"),
        ("mine = 3\n", "of type int and cannot be called"),
        ("import no_such_library\n", "fails while it is loaded: ModuleNotFoundError"),
        ("def mine(:\n", "fails while it is loaded: SyntaxError"),
    ],
)
def test_a_file_that_does_not_do_is_refused(plugin, text, told):
    with pytest.raises(ConfigError, match=told):
        load_extra(plugin(text))


def test_a_missing_file_is_named(plugin):
    with pytest.raises(ConfigError, match=r"there is no file 'absent\.py'"):
        load_extra("absent.py:mine")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('x')", "the plug-in fails: ValueError: x"),
        ("return image", "returned ndarray"),
        ("return None", "returned NoneType"),
        ("return image[:40], mask[:40]", r"returned uint8 \(40, 48, 3\)"),
        ("return image / 255, mask", "returned float64"),
    ],
)
def test_a_wrong_result_is_refused(plugin, body, told):
    spec = plugin(f"def mine(image, mask):\n    {body}\n")
    with pytest.raises(DataError, match=told):
        run(spec)


def test_an_albumentations_compose(plugin):
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    check_library(
        plugin(
            "import albumentations as A\n"
            "mine = A.Compose([A.HorizontalFlip(), A.Affine(rotate=(-90, 90), p=1), A.GaussNoise((0.01, 0.03), p=1)])\n"
        )
    )


def test_a_torchvision_transform(plugin):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    spec = plugin(
        "from torchvision.transforms import v2\n"
        "mine = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomAffine(60), v2.RandomApply([v2.ColorJitter(0.1)]),\n"
        "    v2.RandomChoice([v2.RandomVerticalFlip(1), v2.Identity()])])\n"
    )
    before = torch.get_rng_state()
    check_library(spec)
    assert (torch.get_rng_state() == before).all()
