"""Numbers of channels, rounded."""


def make_divisible(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, at least 90 % of it and at least one (Sandler et al. 2018)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def kept_channels(channels: int, share: float, divisor: int = 1) -> int:
    """Channels left when a share of them is removed, to the nearest multiple of `divisor`; at least one, never more."""
    if not share:
        return channels
    left = int(channels * (1.0 - share) / divisor + 0.5) * divisor
    return min(channels, max(left, min(divisor, channels)))


def scaled_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Channels times a width multiplier, rounded as MobileNets do it, never past the number there was."""
    rounded = make_divisible(channels * width, divisor)
    return min(channels, rounded) if width <= 1.0 else max(channels, rounded)
