"""[pseudo]: test images as training samples, with what earlier attempts predict of them."""

from __future__ import annotations

from pydantic import Field, model_validator

from podium.config import Config


class PseudoConfig(Config):
    """Test images that earlier attempts are sure about are trained on too, with their predictions as targets."""

    attempts: list[str] = Field(
        [], description='attempts of this workspace whose mean prediction is the target: ["0003", "0007"]; [] = none'
    )
    confidence: float = Field(0.9, gt=0.5, le=1, description="mean sureness of a prediction that is taken")
    sure: float = Field(0.0, ge=0, lt=0.5, description="pixels nearer to 0.5 than this do not count (masks)")
    most: float = Field(1.0, gt=0, le=10, description="at most so many for each labelled sample, the surest first")

    @model_validator(mode="after")
    def _of_attempts(self) -> PseudoConfig:
        fields = type(self).model_fields
        if not self.attempts and any(getattr(self, key) != field.default for key, field in fields.items()):
            raise ValueError("attempts beside confidence, sure and most")
        return self
