"""What tests of the host have in common."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from podium.host.server import accounts


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords():
    """Passwords hashed as always, with hardly any work: tests log in often."""
    real = accounts._hasher
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    accounts._hasher = lambda: cheap
    accounts._nobody.cache_clear()
    yield real
    accounts._hasher = real
    accounts._nobody.cache_clear()
