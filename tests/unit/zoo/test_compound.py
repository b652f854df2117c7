"""EfficientNet by one parameter: Tan & Le 2019, arXiv:1905.11946, equation 3."""

from itertools import pairwise

import pytest

from simulator.api import load_model
from simulator.errors import UsageError
from simulator.model import Model
from simulator.zoo import parse_reference
from simulator.zoo.recipe import find_recipe


def counts(network: Model) -> tuple[int, int]:
    return network.params, network.macs


def test_at_0_it_is_b0() -> None:
    assert counts(load_model("efficientnet_b0:phi=0")) == counts(load_model("efficientnet_b0"))
    assert load_model("efficientnet_b0:phi=0").params == 5_288_548


def test_at_1_depth_and_width_are_those_of_b2() -> None:
    """B2 has 1.2 times the depth and 1.1 times the width of B0: 9,109,994 parameters."""
    assert load_model("efficientnet_b0:phi=1").params == 9_109_994 == load_model("efficientnet_b2").params


@pytest.mark.parametrize(("phi", "resolution"), [(0.5, 240), (1, 256), (2, 296), (3, 340), (7, 596)])
def test_it_is_the_three_by_hand(phi: float, resolution: int) -> None:
    by_hand = f"efficientnet_b0:depth={1.2**phi!r},width={1.1**phi!r},resolution={resolution}"
    assert counts(load_model(f"efficientnet_b0:phi={phi}")) == counts(load_model(by_hand))


def test_each_step_takes_about_twice_the_macs() -> None:
    """The factors are chosen so that depth × width² × resolution² is about 2; blocks and channels are rounded (to 25 %)."""
    assert 1.2 * 1.1**2 * 1.15**2 < 2.0
    macs = [load_model(f"efficientnet_b0:phi={phi}").macs for phi in (0, 1, 2, 3, 4)]
    assert [b / a for a, b in pairwise(macs)] == pytest.approx([1.92] * 4, rel=0.25)


@pytest.mark.parametrize("other", ["width=1", "depth=2", "resolution=224"])
def test_not_beside_what_it_scales(other: str) -> None:
    with pytest.raises(UsageError, match=f"phi sets {other.partition('=')[0]} itself; give one or the other"):
        parse_reference(f"efficientnet_b0:phi=1,{other}")


def test_beside_anything_else() -> None:
    assert load_model("efficientnet_b0:phi=1,classes=10,batch=2").graph.tensors["logits"].shape == (2, 10)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("efficientnet_b0:phi=-1", "phi=-1 is below its minimum 0"),
        ("efficientnet_b0:phi=11", "phi=11 is above its maximum 10"),
        ("efficientnet_b0:phi=two", "phi=two is not a number"),
        ("efficientnet_b1:phi=1", "efficientnet_b1 has no parameter 'phi'"),
        ("mobilenet_v2:phi=1", "mobilenet_v2 has no parameter 'phi'"),
    ],
)
def test_errors(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_reference(reference)


def test_its_help_says_that_the_published_ones_are_others() -> None:
    assert "not exactly there" in find_recipe("efficientnet_b0").parameters["phi"].help
