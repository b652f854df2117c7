"""What holds for a whole network: its activation, norm and padding, and how its channels and depths scale."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.transform.rounding import make_divisible

Activation = Literal["none", "relu", "relu6", "hard_swish", "hard_sigmoid", "silu", "sigmoid", "gelu", "tanh"]


class Strict(BaseModel):
    """Frozen, without coercion, unknown keys refused: the base of everything read from a recipe."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Style(Strict):
    """Settings of a network that its block table does not repeat in every row."""

    act: Activation = "relu"  # of convolutional blocks whose row names no other
    norm: Literal["batch", "folded"] = "batch"  # `folded`: batch norms sit in the weights and biases before them
    padding: Literal["symmetric", "same"] = "symmetric"  # `same`: TensorFlow's, the odd element at the end
    epsilon: float = 1e-5
    width: float = Field(default=1.0, gt=0)
    depth: float = Field(default=1.0, gt=0)
    divisor: int = Field(default=1, ge=1)  # scaled channels are rounded to its multiples; 1 truncates

    def scaled(self, channels: int) -> int:
        """Channels times the width multiplier, rounded as this network does it."""
        if self.divisor == 1:
            return max(1, int(channels * self.width))
        return make_divisible(channels * self.width, self.divisor)

    def scaled_up(self, channels: int) -> int:
        """As `scaled`, but never narrower than the table says (the last convolution of MobileNetV2)."""
        return self.model_copy(update={"width": max(1.0, self.width)}).scaled(channels)

    def repeated(self, repeat: int) -> int:
        """Blocks of a stage times the depth multiplier, rounded up (Tan & Le 2019)."""
        return math.ceil(repeat * self.depth)
