"""With how many decimals scores and gains are shown."""

from __future__ import annotations

import math


def digits(noise_floor: float, gain: float) -> int:
    """Decimals with which a gain is shown: to the first digit of the noise floor, to the second where that is a 1."""
    scale = noise_floor if noise_floor > 0 else abs(gain) / 10
    if not scale > 0:
        return 4
    exponent = math.floor(math.log10(scale))
    return min(12, max(0, -exponent + int(scale < 2 * 10.0**exponent)))


def two_digits(value: float) -> str:
    """A positive number with two digits that count, so that 1.5 times what is read is what is told beside it."""
    return f"{value:.{min(12, max(0, 1 - math.floor(math.log10(value)))) if value > 0 else 0}f}"
