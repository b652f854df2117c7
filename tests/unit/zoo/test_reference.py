"""Catalogue references and their errors."""

import pytest

from simulator.errors import NotFoundError, UsageError
from simulator.zoo import build, parse_reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mobilenet_v2", ("mobilenet_v2", {})),
        ("mobilenet_v2:", ("mobilenet_v2", {})),
        ("mobilenet_v2:width=0.5,resolution=96", ("mobilenet_v2", {"width": 0.5, "resolution": 96})),
        (" mobilenet_v2 : width = 1 , batch = 4 ", ("mobilenet_v2", {"width": 1.0, "batch": 4})),
        ("gemm:m=1024,n=1024,k=4096", ("gemm", {"m": 1024, "n": 1024, "k": 4096})),
        ("dscnn_kws", ("ds_cnn", {})),
    ],
)
def test_references(text, expected):
    assert parse_reference(text) == expected


def test_parameters_take_the_type_of_their_default():
    assert isinstance(parse_reference("mobilenet_v2:width=1")[1]["width"], float)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("resnet51", NotFoundError, "the model catalogue has no 'resnet51'; did you mean 'resnet"),
        ("", NotFoundError, "the model catalogue has no ''"),
        ("mobilenet_v2:widht=1", UsageError, "no parameter 'widht'; did you mean 'width'\\?; it has: batch, classes"),
        ("mobilenet_v2:foo=1,bar=2", UsageError, "no parameter 'foo' and no 'bar'; it has"),
        ("mobilenet_v2:width", UsageError, "'width' in 'mobilenet_v2:width' is not a parameter; write name=value"),
        ("mobilenet_v2:width=", UsageError, "is not a parameter; write name=value"),
        ("mobilenet_v2:width=1,width=2", UsageError, "sets width twice"),
        ("mobilenet_v2:resolution=96.5", UsageError, "resolution=96.5 is not a whole number, like its default 224"),
        ("mobilenet_v2:width=wide", UsageError, "width=wide is not a number, like its default 1.0"),
        ("mobilenet_v2:width=nan", UsageError, "width=nan is too large"),
        ("mobilenet_v2:batch=0", UsageError, "batch=0 is below its minimum 1"),
        ("mobilenet_v2:width=9", UsageError, "width=9 is above its maximum 8"),
        ("gemm:m=99999999999999999999", UsageError, "is too large"),
    ],
)
def test_errors(text, error, message):
    with pytest.raises(error, match=message):
        parse_reference(text)


def test_true_is_not_a_whole_number():
    with pytest.raises(UsageError, match="batch=True is not a whole number"):
        build("resnet18", batch=True)


@pytest.mark.parametrize(
    ("recipe_id", "parameters", "message"),
    [
        ("vit_b_16", {"resolution": 225}, "225x225 does not divide into 16x16 patches"),
        ("vgg16", {"resolution": 256}, "pools 8x8 to 7x7: pick a resolution it divides"),
        ("alexnet", {"resolution": 63}, "pools 1x1 to 6x6"),
    ],
)
def test_impossible_resolutions(recipe_id, parameters, message):
    with pytest.raises(UsageError, match=message):
        build(recipe_id, **parameters)
