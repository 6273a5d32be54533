"""What a user reads when something is wrong."""

import errno
import inspect
import pickle

import pytest

from podium import errors
from podium.errors import DataError, PodiumError, StorageError, nearest, storage_error


def test_an_error_says_found_where_expected_and_remedy_a_line_each():
    error = DataError("the mask is blue", where="a.png", expected="black and white", remedy="repaint it")
    assert str(error).splitlines() == [
        "a.png: the mask is blue",
        "  expected: black and white",
        "  to do:    repaint it",
    ]
    assert str(DataError("gone")) == "gone"


def test_every_error_has_the_one_root():
    kinds = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
    assert len(kinds) >= 10
    assert all(issubclass(c, PodiumError) for c in kinds)


def test_an_error_crosses_process_borders():
    error = pickle.loads(pickle.dumps(DataError("x", where="f", expected="y", remedy="z")))
    assert (type(error), str(error)) == (DataError, "f: x\n  expected: y\n  to do:    z")


def test_nearest_names_the_likely_one_or_all():
    assert nearest("modle", ["model", "loss"]) == "did you mean 'model'?"
    assert nearest("qqq", ["model", "loss"]) == "one of: model, loss"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_storage_trouble_is_told_as_such(code):
    error = storage_error(OSError(code, "why", "/some/file"))
    assert isinstance(error, StorageError)
    assert "/some/file" in str(error)
    assert error.remedy


def test_other_trouble_is_not_called_storage():
    assert storage_error(OSError(errno.ENOENT, "gone")) is None
