"""What `model.encoder` can be, for `podium models --encoders`."""

from __future__ import annotations

from podium.errors import ModelError, nearest


def encoders_containing(part: str = "") -> dict[str, list[str]]:
    """{architectures: names that they take}, of the names that contain ``part``.

    Raises:
        ModelError: if no name does.
    """
    import timm

    from podium.models.pspnet import ENCODERS
    from podium.models.smp_models import encoder_names

    backbones = timm.list_models()
    every = {
        "smp.*, features": encoder_names(),
        "smp.* (all that halve the sides stage by stage), by timm": [f"tu-{name}" for name in backbones],
        "timm": backbones,
        "pspnet": sorted(ENCODERS),
    }
    found = {arch: [name for name in names if part in name] for arch, names in every.items()}
    if not any(found.values()):
        close = nearest(part, [*every["smp.*, features"], *backbones])
        raise ModelError(
            f"no encoder has '{part}' in its name",
            where="podium models --encoders",
            remedy=close if len(close) < 200 else "list them all: podium models --encoders",
        )
    return found
