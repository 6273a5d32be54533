"""The streamed pass: the same file in one go, in parts or after a kill; memory that does not grow; every task."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from stand_ins import Made, job_of, predictor_of

import podium.inference.predict as module
from podium.data.store import Store
from podium.errors import DataError
from podium.formats import rle
from podium.inference.parts import summed
from podium.inference.predict import _predict
from podium.training.out_of_fold import write_values


def rows_of_file(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def finished(job, ids, folder: Path) -> Path:
    _predict(job)
    folder.mkdir()
    return job.content.finish(job.parts.finished, ids, folder)


def by_hand(images: Made, row: int) -> np.ndarray:
    return images.image(row)[:, :, 0] > 127


@pytest.mark.parametrize("on_device", [False, True])
def test_the_file_says_what_the_network_says(tmp_path, on_device):
    images = Made(70)
    job, ids = job_of(tmp_path / "parts", predictor_of("plain"), images, on_device=on_device)
    assert job.parts.count > 1
    header, *rows = rows_of_file(finished(job, ids, tmp_path / "out"))
    assert header == "id,rle_mask"
    assert rows == [f"{id},{rle.encode(by_hand(images, row))}" for row, id in enumerate(ids)]


def test_a_sample_without_an_image_is_empty_in_its_place(tmp_path):
    images = Made(40)
    known = [f"t{i:05d}" for i in range(40) if i % 7]
    job, ids = job_of(tmp_path / "parts", predictor_of("plain"), images, known)
    rows = rows_of_file(finished(job, ids, tmp_path / "out"))[1:]
    assert [row.split(",")[0] for row in rows] == ids
    assert [row.endswith(",") for row in rows] == [id not in known for id in ids]
    assert summed(job.parts.finished)["empty"] == len(ids) - len(known)


def test_rows_of_classes_on_the_device_and_on_the_host(tmp_path):
    files = []
    for name in ("class map", "overlapping"):
        for on_device in (False, True):
            folder = tmp_path / f"{name} {on_device}"
            job, ids = job_of(folder / "parts", predictor_of(name), Made(9), on_device=on_device)
            files.append(rows_of_file(finished(job, ids, folder / "out")))
    assert files[0] == files[1]
    assert files[2] == files[3]
    assert len(files[0]) == 1 + 9 * 3


def test_png_masks_come_as_one_archive(tmp_path):
    images, predictor = Made(40), predictor_of("plain")
    task = predictor.task
    task.competition = task.competition.with_overrides({"submission": {"format": "png"}})
    job, ids = job_of(tmp_path / "parts", predictor, images)
    with zipfile.ZipFile(finished(job, ids, tmp_path / "out")) as archive:
        assert archive.namelist() == [f"{id}.png" for id in ids]
        with Image.open(archive.open(f"{ids[30]}.png")) as mask:
            assert ((np.asarray(mask) > 0) == by_hand(images, 30)).all()
    job, ids = job_of(tmp_path / "other", predictor, images, ids[1:])
    with pytest.raises(DataError, match="excluded"):
        _predict(job)


class Mean(torch.nn.Module):
    """The mean of each channel: a table's logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def test_values_are_written_when_all_are_known(tmp_path):
    images = Made(40, (16, 16), (9, 9))
    predictor = predictor_of("several labels", "model.arch=resnet_small", model=Mean())
    known = [f"t{i:05d}" for i in range(40) if i != 3]
    job, ids = job_of(tmp_path / "parts", predictor, images, known)
    table = pl.read_csv(finished(job, ids, tmp_path / "out"))
    assert table["id"].to_list() == ids
    means = np.stack([images.image(i).mean((0, 1)) / 255 for i in range(40)])
    probs = 1 / (1 + np.exp(-means))
    values = table.select("r", "g", "b").to_numpy()
    assert values[4:] == pytest.approx(probs[4:], abs=1e-5)
    assert values[3] == pytest.approx(np.delete(probs, 3, 0).mean(0), abs=1e-5)


# ------------------------------------------------------------------ probabilities


def test_probabilities_are_kept_as_those_out_of_fold(tmp_path):
    images = Made(40)
    job, ids = job_of(tmp_path / "parts", predictor_of("plain"), images, keep=True)
    _predict(job)
    store = Store(tmp_path / "parts/probs", touch=False)
    assert store.ids == ids
    for row in (0, 17, 39):
        assert ((store.image(row)[:, :, 0] > 127) == by_hand(images, row)).all()
    assert set(np.unique(store.image(5))) - {0, 255}, "probabilities, not decisions"


def test_values_are_kept_as_those_out_of_fold(tmp_path):
    write_values(tmp_path / "values.parquet", {"b": np.array([0.5, 1], np.float32)}, ["x", "y"])
    table = pl.read_parquet(tmp_path / "values.parquet")
    assert table.columns == ["id", "x", "y"]
    assert table.rows() == [("b", 0.5, 1.0)]


# ------------------------------------------------------------------ stopped and gone on with

DYING = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from stand_ins import Bright, Made, job_of, predictor_of
from podium.inference.predict import _predict

class Dying(Bright):
    def forward(self, x):
        if images.read > {after}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

images = Made(300)
job, ids = job_of(Path({folder!r}), predictor_of("plain", model=Dying()), images, keep=True)
_predict(job)
"""


@pytest.mark.slow
def test_a_killed_prediction_goes_on_and_gives_the_same_file(tmp_path):
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script = DYING.format(paths=here, after=150, folder=str(tmp_path / "parts"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    images = Made(300)
    job, ids = job_of(tmp_path / "parts", predictor_of("plain"), images, keep=True)
    before = job.parts.samples_done
    assert 0 < before < 300
    again = finished(job, ids, tmp_path / "again").read_bytes()
    assert images.read == 300 - before, "what was finished is not predicted again"
    whole, _ = job_of(tmp_path / "other", predictor_of("plain"), Made(300), keep=True)
    assert finished(whole, ids, tmp_path / "whole").read_bytes() == again
    one, other = (Store(tmp_path / name / "probs", touch=False) for name in ("parts", "other"))
    assert one.ids == other.ids == ids
    assert one.index["hash"].to_list() == other.index["hash"].to_list()


def test_lost_probabilities_are_predicted_again(tmp_path):
    job, ids = job_of(tmp_path / "parts", predictor_of("plain"), Made(100), keep=True)
    _predict(job)
    (tmp_path / "parts/probs/COMPLETE").unlink()
    (tmp_path / "parts/probs/pixels.bin").unlink()
    again, _ = job_of(tmp_path / "parts", predictor_of("plain"), Made(100), keep=True)
    assert again.parts.done == again.parts.count
    _predict(again)
    assert Store(tmp_path / "parts/probs", touch=False).ids == ids


def test_an_error_in_a_thread_ends_it_and_keeps_what_was_finished(tmp_path):
    class Broken(Made):
        def image(self, i):
            if i == 77:
                raise DataError("the image is cut off", where="t00077.png")
            return super().image(i)

    job, _ = job_of(tmp_path / "parts", predictor_of("plain"), Broken(100))
    with pytest.raises(DataError, match="cut off"):
        _predict(job)
    assert 0 < job.parts.samples_done <= 77
    assert not [t for t in threading.enumerate() if t.name.startswith("gzip")]
    assert not list((tmp_path / "parts").glob(".*"))


# ------------------------------------------------------------------ memory


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    """Counted: images that are read and not yet answered, and bytes of Python and numpy."""

    def peak(n: int) -> tuple[int, int]:
        images, most, answered, lock = Made(n, (16, 16), (9, 9)), [0], [0], threading.Lock()
        job, _ = job_of(tmp_path / str(n), predictor_of("plain", batch=16), images)
        of = job.content.answer

        def counting(*args):
            with lock:
                most[0] = max(most[0], images.read - answered[0])
                answered[0] += 1
            return of(*args)

        monkeypatch.setattr(job.content, "answer", counting)
        tracemalloc.start()
        _predict(job)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answered[0] == n
        return most[0], found

    peak(64)
    (few, small), (many, large) = peak(400), peak(4000)
    bound = 32 * (2 * 4 + 2 * os.cpu_count() + 2) + 1
    assert many <= bound, f"{many} images in flight"
    assert few <= bound
    assert large - small < 3600 * 300, f"{(large - small) / 3600:.0f} bytes an image; one has {16 * 16 * 3}"


def test_says_how_fast_and_how_long(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "track", lambda items, what, total: tracked(items, what, total))
    from podium.progress import track

    def tracked(items, what, total):
        return track(items, what, total, every=0.0)

    job, _ = job_of(tmp_path / "parts", predictor_of("plain"), Made(40))
    _predict(job)
    assert "predicting: 40/40, " in (told := capsys.readouterr().err)
    assert "/s, " in told
    assert " left" in told
