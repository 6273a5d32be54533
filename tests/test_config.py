"""TOML and overrides into checked, frozen objects; every error names key, value and what to do."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from podium.config import all_keys, difference, emit_toml, merge, parse_overrides, parse_value
from podium.data.competition import Competition
from podium.errors import ConfigError
from podium.formats.submission import SubmissionFormat
from podium.recipe import Phase, Recipe

NASTY = ['"', "'", "\\", "a # b", "a\nb", "\t", "=", "[x]", "ä€😀", " ", "x" * 300, "\x7f", "'''", '"""', "\u2028", "{"]

texts = st.text(st.characters(codec="utf-8"), max_size=20)
floats = st.floats(0, 1)


@st.composite
def recipes(draw):
    return Recipe.from_tree(
        {
            "model": {"arch": draw(texts), "width": draw(st.floats(1e-6, 8)), "depth": draw(st.integers(2, 7))},
            "input": {
                "size": draw(st.none() | st.lists(st.integers(8, 16384), min_size=2, max_size=2)),
                "train_crop": draw(st.none() | st.integers(8, 999)),
            },
            "augment": {"hflip": draw(floats), "rotate": draw(st.floats(0, 180))},
            "loss": {"terms": draw(st.dictionaries(texts, st.floats(-1e9, 1e9), min_size=1, max_size=4))},
            "optim": {"lr": draw(st.floats(1e-30, 10))},
            "train": {"grad_clip": draw(st.none() | st.floats(1e-9, 1e9))},
            "predict": {"tta": draw(st.lists(st.sampled_from(["hflip", "vflip"]), max_size=2))},
        }
    )


def competition(**changes):
    tree = {"name": "n", "data": {"train_images": "train/*.jpg", "train_masks": "masks/{id}.png"}}
    return Competition.from_tree(merge(tree, changes))


# ---------------------------------------------------------------------- round trips


@given(recipes())
def test_a_recipe_survives_its_toml(recipe):
    assert Recipe.from_tree(tomllib.loads(recipe.to_toml())) == recipe


@given(recipes(), st.dictionaries(st.sampled_from([*all_keys(Recipe), "model", "loss"]), texts))
def test_comments_change_nothing(recipe, comments):
    assert tomllib.loads(recipe.to_toml(comments)) == tomllib.loads(recipe.to_toml())


@given(name=texts.filter(bool), column=texts.filter(bool), classname=texts, glob=texts)
def test_a_competition_survives_its_toml(name, column, classname, glob):
    comp = competition(
        name=name, classes={classname: 1}, submission={"id_column": column}, data={"train_images": f"t{glob}"}
    )
    assert Competition.from_tree(tomllib.loads(comp.to_toml())) == comp


@pytest.mark.parametrize("text", NASTY)
def test_nasty_strings_survive_load(tmp_path, text):
    comp = competition(name=text, classes={text: 3}, submission={"value_column": text})
    (tmp_path / "c.toml").write_text(comp.to_toml({"name": text, "data": text}), encoding="utf-8")
    assert Competition.load(tmp_path / "c.toml") == comp


trees = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, trees, max_size=4))
def test_any_tree_survives_toml(tree):
    without_empty_sections = {k: v for k, v in tree.items() if v != {}}
    assert tomllib.loads(emit_toml(tree, {})) == without_empty_sections


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xef\xbb\xbf[train]\r\nepochs = 3\r\n")
    assert Recipe.load(tmp_path / "r.toml").train.epochs == 3


# ---------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("2", 2), ("true", True), ("[1, 2]", [1, 2]), ("unet", "unet"), ("'7'", "7"), ("", ""),
     ("{a=1}", {"a": 1}), ("1\ny = 2", "1\ny = 2"), ("__import__('os')", "__import__('os')")],
)  # fmt: skip
def test_values_are_toml_or_plain_text(text, value):
    assert parse_value(text) == value


@given(texts)
def test_any_text_is_a_value(text):
    parse_value(text)


def test_texts_beyond_reason_are_strings():
    for text in ("[" * 100_000, "1" * 10_000):
        assert parse_value(text) == text


def test_overrides_make_a_tree():
    assert parse_overrides(["optim.lr=1", "model.arch = unet", "optim.name=a=b"]) == {
        "optim": {"lr": 1, "name": "a=b"},
        "model": {"arch": "unet"},
    }


@pytest.mark.parametrize(
    ("items", "message"),
    [(["lr"], "not a setting"), ([".lr=1"], "not a setting"), (["=1"], "not a setting"),
     (["a=1", "a=2"], "'a' is set twice"), (["a=1", "a.b=2"], "set twice"), (["a.b=2", "a=1"], "set twice")],
)  # fmt: skip
def test_what_is_no_override_is_refused(items, message):
    with pytest.raises(ConfigError, match=message):
        parse_overrides(items)


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        ("optim.lrr=1", "did you mean 'optim.lr'?"),
        ("lr=1", "did you mean 'optim.lr'?"),
        ("model.lr=1", "did you mean 'optim.lr'?"),
        ("modle.arch=unet", "did you mean 'model'?"),
        ("train.epoch=1", "did you mean 'train.epochs'?"),
        ("folds.k=3", "set it in competition.toml, for all attempts alike (or: podium new … KEY=VALUE)"),
        ("metric=iou", "set it in competition.toml, for all attempts alike (or: podium new … KEY=VALUE)"),
        ("zzzz=1", "one of: " + ", ".join(Recipe.model_fields)),
        ("phases=[{at=0.5, zzzz=1}]", "one of: " + ", ".join(f"phases.0.{key}" for key in Phase.model_fields)),
    ],
)
def test_an_unknown_key_names_the_nearest(item, remedy):
    with pytest.raises(ConfigError, match="unknown key") as caught:
        Recipe().with_overrides([item])
    assert caught.value.remedy == remedy


def test_an_unknown_key_in_a_file_names_file_and_nearest(tmp_path):
    (tmp_path / "r.toml").write_text("[optim]\nlrr = 1\n")
    with pytest.raises(ConfigError) as caught:
        Recipe.load(tmp_path / "r.toml")
    assert caught.value.where == str(tmp_path / "r.toml")
    assert caught.value.found == "unknown key 'optim.lrr'"
    assert "'optim.lr'" in caught.value.remedy


@pytest.mark.parametrize(
    ("item", "words"),
    [("train.epochs=many", ["'train.epochs' is 'many'", "whole number"]),
     ("train.epochs=0", ["'train.epochs' is 0", "1"]),
     ("optim=3", ["'optim' is a section"]), ("optim.lr=nan", ["optim.lr", "finite"]),
     ("input.size=[64]", ["[input]", "[height, width]"]), ("model.norm=batsch", ["'batsch'", "'batch'"]),
     ("model.arch.x=1", ["model.arch", "text"]), ("train.epochs=none", ["'train.epochs' is 'none'"]),
     ("train.devices=0", ["'train.devices' is 0", "1"])],
)  # fmt: skip
def test_a_wrong_value_says_what_was_given_and_expected(item, words):
    with pytest.raises(ConfigError) as caught:
        Recipe().with_overrides([item])
    assert all(w in str(caught.value) for w in words), str(caught.value)


def test_a_table_replaces_the_whole_mixture_and_a_section_is_merged():
    recipe = Recipe().with_overrides(["loss.terms={bce=2}", "optim={lr=0.5}"])
    assert recipe.loss.terms == {"bce": 2.0}
    assert (recipe.optim.lr, recipe.optim.weight_decay) == (0.5, Recipe().optim.weight_decay)


def test_none_unsets_an_optional_key():
    recipe = Recipe().with_overrides(["input.size=[64,64]", "train.grad_clip=1"])
    back = recipe.with_overrides(["input.size=none", "train.grad_clip=none"])
    assert (back.input.size, back.train.grad_clip) == (None, None)
    assert back == Recipe()


def test_none_where_it_is_a_choice_like_any_other_is_that_choice():
    assert Recipe().with_overrides(["model.norm=none"]).model.norm == "none"
    on = competition(board={"kind": "local"})
    assert on.with_overrides(["board.kind=none"]).board.kind == "none"


# ---------------------------------------------------------------------- files that are no good


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"x = ", "not valid TOML"), (b"name = 'caf\xe9'", "not UTF-8"), (b"a = 1\na = 2", "not valid TOML")],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        Recipe.load(tmp_path / "c.toml")
    assert caught.value.where.endswith("c.toml")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            Recipe.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_masks": "masks/x.png"}, "{id}"),
        ({"mask_values": "colours"}, "[colours] and"),
        ({"ignore": ["void"]}, "numbers in data.ignore"),
        ({"train_images": ""}, "inside data/"),
        ({"train_images": "/abs/*.jpg"}, "inside data/"),
        ({"train_rle": "t.csv"}, "exactly one of"),
        ({"group": "("}, "regular expression"),
        ({"group": "(.*)_"}, "(?P<group>"),
        ({"group_csv": "g.csv"}, "group_id_column"),
    ],
)
def test_a_competition_that_does_not_fit_together_is_refused(change, words):
    with pytest.raises(ConfigError) as caught:
        competition(data=change)
    assert words in str(caught.value)


def test_a_missing_key_is_asked_for():
    with pytest.raises(ConfigError, match=r"'data' is missing"):
        Competition.from_tree({"name": "x"})


# ---------------------------------------------------------------------- frozen, digests, differences


def test_a_config_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().optim.lr = 1


def test_equal_settings_have_equal_digests_and_others_do_not():
    a, b = Recipe().with_overrides(["optim.lr=0.5"]), Recipe().with_overrides({"optim": {"lr": 0.5}})
    assert a.digest() == b.digest() != Recipe().digest()
    assert a.digest("model", "input") == Recipe().digest("model", "input")
    assert a.digest("optim") != Recipe().digest("optim")


@given(recipes(), recipes())
def test_a_difference_is_empty_just_for_equal_recipes(a, b):
    assert difference(a, a) == {}
    assert bool(difference(a, b)) == (a != b)


def test_a_difference_lists_old_and_new():
    new = Recipe().with_overrides(["loss.terms={bce=1}", "input.size=[32,32]"])
    assert difference(new, Recipe()) == {"input.size": (None, [32, 32]), "loss.terms.dice": (1.0, None)}


def test_a_submission_format_is_its_own_inverse():
    form = SubmissionFormat(id="x-{id}.jpg")
    assert form.sample_id(form.row_id("a b")) == "a b"
