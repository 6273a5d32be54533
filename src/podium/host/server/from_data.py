"""A competition from a folder of data: the layout is inferred, labels are held out or come as a solution."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from podium.config import parse_overrides
from podium.data.infer import infer_with
from podium.errors import BoardError, ConfigError
from podium.host.hold_out import hold_out
from podium.host.server.competitions import require_slug
from podium.host.server.host import Host
from podium.host.server.making import Made, install
from podium.host.server.spec import Rules
from podium.progress import say


def new_competition(
    host: Host,
    slug: str,
    source: Path,
    settings: Sequence[str] = (),
    *,
    share: float | None = None,
    public: float = 0.3,
    solution: Path | None = None,
    description: Path | None = None,
    neutral: bool = False,
    seed: int = 0,
) -> Made:
    """Make a competition of labelled data, whole or not at all.

    Args:
        settings: "key=value" of competition.toml, or "rules.key=value" of rules.toml.
        share: Share of the samples to hide; none where there is a ``solution``.
        public: Share of the hidden ones that the public board scores.
        solution: Hidden labels of the test images in ``source``, with a column Usage.
        neutral: Give the hidden samples names that say nothing.

    Raises:
        ConfigError: if a setting cannot be read, or it is not said which labels are hidden.
        DataError: if the data cannot be read, or what competitors would get has hidden labels in it.
    """
    require_slug(slug)
    if (share is None) == (solution is None):
        raise ConfigError("which labels are hidden?", expected="--hold-out SHARE, or --solution CSV")
    if (host.competitions.folder / slug).exists():
        raise BoardError(f"there is a competition '{slug}' already", remedy="choose another name")
    own = [s for s in settings if not s.startswith("rules.")]
    rules = Rules().with_overrides([s.removeprefix("rules.") for s in settings if s.startswith("rules.")])
    parse_overrides(own)
    inference = infer_with(source, slug, own)
    for line in inference.told():
        say(f"  {line}")
    text = description.read_text(encoding="utf-8") if description else ""
    if solution is not None:
        return install(host, slug, inference.competition, rules, source, solution, text)
    assert share is not None
    with tempfile.TemporaryDirectory(prefix="podium-host-") as folder:
        data, board = Path(folder) / "data", Path(folder) / "board"
        held = hold_out(inference.competition, source, data, board, share, public, seed, neutral=neutral)
        return install(host, slug, held.competition, rules, data, board / "solution.csv", text)
