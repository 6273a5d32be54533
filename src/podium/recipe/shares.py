"""What several sections of a recipe are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
"""From 0 to 1."""
