"""First recipes fitted to images and machine."""

import pytest

from podium.data.plan import fitted_size, plan
from podium.recipe import Recipe

SHAPES = [[(101, 101)] * 5, [(1280, 1918)] * 3, [(64, 64), (80, 200), (3000, 20)], [(8, 20000)], [(1, 1)]]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("n", [1, 50, 100_000])
def test_every_plan_is_a_recipe_that_survives_its_file(tmp_path, shapes, gpu, n):
    for planned in plan(shapes, n, gpu=gpu).values():
        (tmp_path / "r.toml").write_text(planned.toml())
        assert Recipe.load(tmp_path / "r.toml") == planned.recipe
        size = planned.recipe.input.size
        assert size is None or all(side % 32 == 0 for side in size)
        assert size is not None or len(set(shapes)) == 1
        assert all(planned.why.values())


def test_sizes_keep_aspect_and_budget():
    height, width = fitted_size([(1280, 1918)] * 9, 128 * 160)
    assert abs(width / height - 1918 / 1280) < 0.3
    assert 0.7 < height * width / (128 * 160) < 1.4
    assert fitted_size([(101, 101)] * 9, 128 * 160) is None
    assert fitted_size([(101, 101), (102, 101)], 128 * 160) == [96, 96]


def test_grey_images_get_no_colour_changes_and_a_gpu_gets_more():
    assert plan([(64, 64)], 9, gpu=False, grey=True)["baseline"].recipe.augment.saturation == 0
    assert plan([(64, 64)], 9, gpu=False)["baseline"].recipe.augment.saturation > 0
    big = [(1280, 1918)]
    small, large = (plan(big, 500, gpu=g)["baseline"].recipe for g in (False, True))
    assert large.input.size[0] > small.input.size[0]
    assert large.model.width > small.model.width


def test_more_images_mean_fewer_epochs_within_bounds():
    epochs = [plan([(128, 160)], n, gpu=False)["baseline"].recipe.train.epochs for n in (1, 500, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 40
    assert epochs[-1] == 8
