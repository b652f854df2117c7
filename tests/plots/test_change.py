"""Before and after by their artists: hollow and filled markers are the networks' totals, arrows join them."""

import pytest
from support.figures import assert_apart

import simulator as sim
from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.change import figure
from simulator.report.plots.roofs import points

MODELS = ("resnet50", "mobilenet_v2", "bert_base")


def estimated(model: str, machine: str, precision: str, batch: int = 1) -> sim.Estimate:
    return sim.estimate(sim.load_model(model, batch=batch), machine, precision=precision)


@pytest.mark.parametrize("size_in", [style.SINGLE_IN, style.DOUBLE_IN])
def test_markers_arrows_and_gains(size_in) -> None:
    before = [estimated(m, "rtx4090", "fp32") for m in MODELS]
    after = [estimated(m, "rtx4090", "fp16", 8) for m in MODELS]
    fig, artists = figure(before, after, title="half precision", size_in=size_in)
    (ax,) = fig.axes
    for name, first, second in zip(MODELS, before, after, strict=True):
        for line, est in ((artists.before[name], first), (artists.after[name], second)):
            found = points(est)
            assert line.get_xydata().tolist() == [pytest.approx([found.total_op_per_byte, found.total_ops_per_s])]
        assert artists.arrows[name] is not None
        gain = second.throughput_per_s / first.throughput_per_s
        assert artists.labels[name].get_text() == f"{name} {gain:.3g}×"
        assert artists.before[name].get_markerfacecolor() == "white"
    assert list(artists.roofs) == ["rtx4090"]
    assert ax.get_xlabel() == "Arithmetic intensity (FLOP/byte)"
    assert ax.get_ylabel() == "Performance (FLOP/s)   better →"
    assert_apart(fig, [*artists.labels.values(), artists.title, artists.legend, ax.xaxis.label, ax.yaxis.label])


def test_another_machine_has_a_roof_of_its_own() -> None:
    _, artists = figure([estimated("resnet50", "t4", "fp16")], [estimated("resnet50", "h100_sxm", "fp16")])
    assert set(artists.roofs) == {"t4", "h100_sxm"}
    assert artists.roofs["t4"].get_linestyle() == "--"
    assert artists.roofs["h100_sxm"].get_linestyle() == "-"
    assert any("h100_sxm" in t.get_text() for t in artists.roof_labels)


def test_what_stays_has_no_arrow() -> None:
    est = estimated("resnet50", "rpi4", "fp32")
    _, artists = figure([est], [est])
    assert artists.arrows == {"resnet50": None}
    assert artists.labels["resnet50"].get_text() == "resnet50 1×"


def test_lists_that_do_not_fit() -> None:
    est = estimated("resnet8", "rpi4", "fp32")
    for before, after in (([], []), ([est], [])):
        with pytest.raises(UsageError, match="as many estimates after as before"):
            figure(before, after)
