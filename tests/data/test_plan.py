"""First recipes fitted to images and machine."""

import tomllib

import pytest

from podium.data.plan import Aim, ema_decay, fitted_size, plan, without_padding
from podium.recipe import Recipe
from task_drawing import TASKS, draw_task

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
    assert (small.model.arch, large.model.arch) == ("unet_small", "unet")


def test_more_images_mean_fewer_epochs_within_bounds():
    epochs = [plan([(128, 160)], n, gpu=False)["baseline"].recipe.train.epochs for n in (1, 500, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == 100
    assert epochs[-1] == 8


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("gpu", [False, True])
def test_recipes_fit_the_task(task, gpu, tmp_path):
    """The loss, the kind of network, and for objects the size: shrunk, small ones would be lost."""
    competition = draw_task(tmp_path, task, 2)
    planned = plan([(300, 400), (200, 210)], 200, gpu=gpu, aim=Aim.of(competition))
    pixels = task in ("class map", "overlapping", "objects")
    for name, made in planned.items():
        recipe = made.recipe
        assert recipe == Recipe.from_tree(tomllib.loads(made.toml())), "what is written is what is meant"
        assert (recipe.model.arch in ("unet", "unet_small")) == pixels
        assert (recipe.input.size is None) == (task == "objects")
        assert (recipe.input.train_crop is not None) == (task == "objects")
        assert (recipe.train.val_every > 1) == (task == "objects" and name != "smoke")
        terms = {"class map": {"ce", "dice"}, "overlapping": {"bce", "dice"}, "objects": {"bce", "dice"}}
        terms |= {"one class": {"ce"}, "yes or no": {"bce"}, "several labels": {"bce"}, "several targets": {"ce"}}
        assert set(recipe.loss.terms) == terms.get(task, {"huber"}), name
    one = plan([(300, 400)], 200, gpu=gpu, aim=Aim("values", dense=False))["baseline"].recipe.input.size
    four = plan([(300, 400)], 200, gpu=gpu, aim=Aim("values", dense=False, views=4))["baseline"].recipe.input.size
    assert four[0] * four[1] < 0.6 * one[0] * one[1], "four views side by side take the place of one"


def recipes(shapes, n, **given):
    return {name: planned.recipe for name, planned in plan(shapes, n, **{"gpu": False, "cores": 2} | given).items()}


def test_fast_on_a_cpu_is_small_and_full_is_larger_and_longer():
    for shapes in ([(288, 384)], [(101, 101)], [(1280, 1918)]):
        for gpu in (False, True):
            made = recipes(shapes, 600, gpu=gpu)
            fast, full = made["baseline"], made["full"]
            assert full.train.epochs > fast.train.epochs
            larger = full.model.width > fast.model.width
            assert larger if gpu else (fast.model.arch, full.model.arch) == ("unet_small", "unet")
            if fast.input.size and full.input.size:
                assert full.input.size[0] >= fast.input.size[0]
    assert recipes([(288, 384)], 600)["baseline"].input.size == [96, 128]
    assert recipes([(101, 101)], 4000)["baseline"].input.size == [96, 96], "else they were padded to 128x128"
    assert recipes([(101, 101)], 4000)["full"].input.size is None
    assert recipes([(101, 101)], 4000, gpu=True)["baseline"].input.size is None


def test_padding_is_avoided_only_where_it_costs_much_and_little_is_lost():
    assert without_padding((101, 101)) == [96, 96]
    assert without_padding((65, 65)) == [64, 64]
    assert without_padding((48, 48)) is None
    assert without_padding((120, 120)) is None
    assert without_padding((96, 128)) is None
    assert without_padding((1, 1)) is None


def test_many_classes_are_shrunk_less():
    one, several = (Aim("labels", classes=k) for k in (2, 11))
    a, b = (recipes([(360, 480)], 400, aim=aim)["baseline"].input.size for aim in (one, several))
    assert b[0] * b[1] > 1.5 * a[0] * a[1]


def test_large_images_are_trained_on_in_crops_where_they_are_not_shrunk_much():
    full = recipes([(1280, 1918)], 600, gpu=True)["full"]
    assert full.input.train_crop == 512
    assert min(full.input.size) >= 768
    assert full.train.batch_size == "auto"


def test_only_many_images_are_bounded_by_time():
    for name in ("baseline", "full"):
        few, many = (plan([(1024, 1024)], n, gpu=False, cores=2)[name] for n in (500, 1_000_000))
        assert few.recipe.train.time is None
        assert many.recipe.train.seconds >= 600
        assert "many" in many.why["train.time"]
    assert recipes([(1024, 1024)], 60_000, cores=64)["baseline"].train.time is None


def test_more_cores_train_for_longer():
    slow, quick = (recipes([(288, 384)], 3000, cores=n)["baseline"].train.epochs for n in (2, 8))
    assert quick > 2 * slow


@pytest.mark.parametrize(("steps", "decay"), [(10, 0.99), (2000, 0.99), (4000, 0.995), (10_000, 0.998), (1e6, 0.999)])
def test_the_average_spans_a_twentieth_of_the_training(steps, decay):
    assert ema_decay(steps) == decay


def test_files_say_what_they_are_for():
    made = plan([(288, 384)], 600, gpu=False, cores=2)
    assert made["baseline"].toml().startswith("# The fast preset: minutes a fold on 2 CPU cores.")
    assert "podium baseline recipe=full" in made["full"].toml()
    for key in ("model.width", "input.size", "train.epochs", "train.ema", "schedule.warmup", "predict.tta"):
        assert made["baseline"].why[key]
    assert "unset" in plan([(64, 64)], 9, gpu=False)["baseline"].why["input"]


def test_many_empty_masks_decide_on_the_loss_and_on_the_smallest_part(tmp_path):
    competition = draw_task(tmp_path, "overlapping", 2)
    often = Aim.of(competition, [0] * 5 + list(range(100, 120)))
    assert often.empty == pytest.approx(0.2)
    assert (often.least, often.often_nothing) == (102, True)
    for name in ("baseline", "full"):
        made = plan([(101, 101)], 800, gpu=False, aim=often)[name]
        assert set(made.recipe.loss.terms) == {"bce", "lovasz"}
        assert made.recipe.predict.min_area == 102
        assert "20% of the masks are empty" in made.why["loss.terms"]
    for areas in ([], [0] + [50] * 19, [0] * 5):
        seldom = Aim.of(competition, areas)
        made = plan([(101, 101)], 800, gpu=False, aim=seldom)["baseline"].recipe
        assert made.predict.min_area is None
        assert set(made.loss.terms) == ({"bce", "lovasz"} if areas == [0] * 5 else {"bce", "dice"})
