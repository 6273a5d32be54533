"""The loops behind confusion matrices and the matching of instances; the plain versions are in the tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from podium.formats.jit import jit

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.uint32]

_8, _16, _32 = np.uint64(0xFF), np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)


@jit
def histogram(words: Words, bits: int, lanes: Counts) -> None:
    """Count the numbers packed into words, those of one word in tables of their own.

    Where neighbours are alike, adding one to the same number would have to wait for the addition before it; a word
    of equal numbers is counted at once.

    Args:
        words: Numbers of 8, 16 or 32 bits, side by side.
        bits: Which of the three.
        lanes: Shape (64 / bits, numbers), gets the counts; their sum over the first axis is the histogram.
    """
    one = np.uint32(1)
    back = np.uint64(64 - bits)
    if bits == 8:
        for i in range(len(words)):
            w = words[i]
            if w == (w << np.uint64(8) | w >> back):
                lanes[0, w & _8] += np.uint32(8)
                continue
            lanes[0, w & _8] += one
            lanes[1, w >> np.uint64(8) & _8] += one
            lanes[2, w >> np.uint64(16) & _8] += one
            lanes[3, w >> np.uint64(24) & _8] += one
            lanes[4, w >> np.uint64(32) & _8] += one
            lanes[5, w >> np.uint64(40) & _8] += one
            lanes[6, w >> np.uint64(48) & _8] += one
            lanes[7, w >> np.uint64(56)] += one
    elif bits == 16:
        for i in range(len(words)):
            w = words[i]
            if w == (w << np.uint64(16) | w >> back):
                lanes[0, w & _16] += np.uint32(4)
                continue
            lanes[0, w & _16] += one
            lanes[1, w >> np.uint64(16) & _16] += one
            lanes[2, w >> np.uint64(32) & _16] += one
            lanes[3, w >> np.uint64(48)] += one
    else:
        for i in range(len(words)):
            lanes[0, words[i] & _32] += one
            lanes[1, words[i] >> np.uint64(32)] += one
