"""A workspace that asks of each image of another one which masks are empty: `podium new presence --from masks:.`.

What is learnt there has a ledger of its own, since its scores are no masks' scores; samples and folds are the same, so
that its out-of-fold predictions can empty the masks of the other one (`predict.empty_by`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.fixes import read_fixes
from podium.data.place import SPEC
from podium.data.presence import classes_there
from podium.data.ready import Prepared, make_ready
from podium.data.samples import Sample, list_samples
from podium.data.targets import class_order
from podium.errors import ConfigError, DataError
from podium.files import building
from podium.host.hold_out import INPUTS, write_rows
from podium.host.lay_out import lay_out_images
from podium.new import require_new, write_recipes
from podium.progress import say
from podium.recipe import Recipe

BEFORE = "masks:"
TABLE = "presence.csv"
KEPT = ("folds.csv", "folds.toml", "exclude.csv")


def make_presence(root: Path, other: Path, settings: Sequence[str] = (), *, alone: bool = True) -> None:
    """Make a workspace in ``root``, whole or not at all.

    Args:
        other: The masks' workspace.
        settings: Keys of competition.toml to set.
        alone: Whether nothing else was asked for.

    Raises:
        ConfigError: if the other one has no masks, or the folder is in use.
        DataError: if every mask is empty, or none.
    """
    require_new(root)
    if not alone:
        raise ConfigError(
            "its test images and folds are those of the masks' workspace",
            where="--from masks:",
            expected="neither --hold-out nor --solution, --copy, --seed",
        )
    if not (other / SPEC).is_file():
        raise ConfigError("this is not a podium workspace", where=other, expected=f"a folder with a {SPEC}")
    masks = Competition.load(other / SPEC)
    if masks.task not in ("segmentation", "instances"):
        raise ConfigError("it has no masks that could be empty", where=other / SPEC, expected="segmentation, instances")
    recipe = other / "recipes" / "baseline.toml"
    prepared = make_ready(masks, other, (Recipe.load(recipe) if recipe.is_file() else Recipe()).input)
    found = read_fixes(other).applied_to(list_samples(masks, other / "data"))
    with building(root, marker=False) as draft:
        places = lay_out_images(masks, draft / "data", found.train, found.test)
        _write_labels(masks, prepared, found.train, draft / "data" / TABLE)
        if masks.data.inputs_csv:
            rows = [(s.id, *s.inputs) for s in (*found.train, *found.test)]
            write_rows(draft / "data" / INPUTS, ("id", *masks.data.inputs), rows)
        spec = _spec(masks, root.name, places, found.test).with_overrides(list(settings))
        write_toml(draft / SPEC, spec.tree())
        for name in KEPT:
            if (other / name).is_file():
                shutil.copyfile(other / name, draft / name)
        write_recipes(spec, draft)


def _write_labels(masks: Competition, prepared: Prepared, train: Sequence[Sample], path: Path) -> None:
    """Write the table of labels: id, group, and 0 or 1 for each class."""
    names, truth, left_out = class_order(masks), prepared.stores.truth, prepared.excluded
    there = classes_there(truth, len(names))
    used = [s for s in train if s.id not in left_out]
    counts = there[[truth.row[s.id] for s in used]].sum(axis=0)
    told = ", ".join(f"{name} in {n}" for name, n in zip(names, counts.tolist(), strict=True))
    if all(n in (0, len(used)) for n in counts.tolist()):
        raise DataError(f"nothing to learn: of {len(used)} samples {told}", expected="some masks that are empty")
    say(f"  of {len(used)} samples {told}")
    rows = [(s.id, s.group, *(str(int(v)) for v in there[truth.row[s.id]])) for s in train]
    write_rows(path, ("id", "group", *names), rows)


def _spec(masks: Competition, name: str, places: dict[str, object], test: Sequence[Sample]) -> Competition:
    names, before = class_order(masks), masks.data
    data: dict[str, Any] = {"train_csv": TABLE, "id_column": "id", "targets": names, **places}
    data |= {"views": before.views} if before.views else {}
    data |= {"group_csv": TABLE, "group_id_column": "id", "group_column": "group"}
    if before.inputs_csv:
        data |= {"inputs": before.inputs, "inputs_csv": INPUTS, "inputs_id_column": "id"}
    if not test:
        data.pop("test_images")
    several = len(names) > 1
    columns = {"value_columns": names} if several else {"value_column": names[0]}
    return Competition.from_tree(
        {
            "name": f"{masks.name}-{name}",
            "task": "classification",
            "labels": "many" if several else "one",
            "metric": "log_loss",
            "data": data,
            "classes": {name: n for n, name in enumerate(names)} if several else {names[0]: 1},
            "submission": {"format": "probs", **columns},
            "folds": {"k": masks.folds.k, "seed": masks.folds.seed},
            "rules": masks.rules.tree(),
        }
    )
