"""A fit finds the constants that made the data, keeps what no data show, and is scored on families it has not seen."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.machines import hardware, runtime

import simulator as sim
from simulator.errors import UsageError
from simulator.fidelity import calibrate as module
from simulator.fidelity.calibrate import _folds, calibrate, predictions
from simulator.fidelity.constants import with_constants
from simulator.fidelity.measurement import Measurement, Sample, sample_of

PRODUCTS = ((64, 64, 4096), (512, 512, 512), (1024, 1024, 64), (2048, 256, 2048), (16, 4096, 4096))
NETWORKS = (
    *(f"gemm:m={m},n={n},k={k}" for m, n, k in PRODUCTS),
    *(f"mobilenet_v1:width={w},resolution={r}" for w, r in ((0.25, 128), (0.5, 160), (1.0, 192), (1.0, 128))),
    *(f"mobilenet_v2:width={w},resolution={r}" for w, r in ((0.5, 96), (0.75, 160), (1.0, 224))),
    "resnet18", "resnet34", "resnet8", "ds_cnn", "squeezenet1_1", "squeezenet1_0", "autoencoder", "vit_b_32", "deit_tiny",
)  # fmt: skip
FAMILIES = ("gemm", "mobilenet_v1", "mobilenet_v2", "resnet", "ds_cnn", "squeezenet", "autoencoder", "vit", "deit")
MACHINE = hardware(peak="1 TFLOP/s", bandwidth="50 GB/s")
PRIOR = runtime(
    overlap=0.0, kernel_overhead="20 us", bandwidth=0.75, vector_efficiency=0.5, inference_overhead="30 us",
    efficiency={"default": 0.5, "conv": 0.5, "gemm": 0.5, "depthwise_conv": 0.3, "recurrent": 0.3},
)  # fmt: skip
TRUE = {
    "profiles.default.efficiency.conv": 0.66,
    "profiles.default.efficiency.gemm": 0.4,
    "profiles.default.bandwidth": 0.85,
    "profiles.default.kernel_overhead": 32e-6,
}
# chosen before any residual was seen: 2 % of noise in some 20 rows, and priors that pull
TOLERANCE = {"efficiency": 0.05, "bandwidth": 0.08, "kernel_overhead": 0.08}
NOISE = 0.02


@cache
def runs() -> tuple[Sample, ...]:
    """Every network as the true constants would run it, with noise by a fixed seed."""
    true = with_constants(PRIOR, TRUE)
    rng = np.random.default_rng(4)
    found = []
    for network in NETWORKS:
        family = next(f for f in FAMILIES if network.startswith(f))
        measured = Measurement(network, "test", "test", 1.0, family=family)
        sample = sample_of(measured, sim.load_model(network), MACHINE, PRIOR)
        (seconds,) = predictions([sample], true).tolist()
        noisy = seconds * math.exp(NOISE * rng.standard_normal())
        found.append(replace(sample, measured=replace(measured, latency_s=noisy)))
    return tuple(found)


@cache
def fitted() -> module.Calibration:
    return calibrate(runs(), PRIOR)


@pytest.mark.parametrize("path", TRUE)
def test_it_finds_the_constants_that_made_the_data(path: str) -> None:
    tolerance = next(t for field, t in TOLERANCE.items() if field in path)
    assert fitted().values[path] == pytest.approx(TRUE[path], rel=tolerance)


def test_the_errors_left_are_the_noise() -> None:
    found = fitted()
    assert found.before.median > 0.1
    assert found.after.median < 2 * NOISE
    assert found.held_out.median < 3 * NOISE
    low, middle, high = found.residuals
    assert low < 1 < high
    assert middle == pytest.approx(1, abs=NOISE)


def test_a_constant_that_no_row_shows_stays_at_its_prior() -> None:
    (recurrent,) = (f for f in fitted().constants if f.constant.path.endswith("efficiency.recurrent"))
    assert (recurrent.value, recurrent.shown_by, recurrent.moved) == (0.3, 0, False)
    assert recurrent.kept_because == "no row shows it"
    after = dict(fitted().runtime.figures())
    assert after["profiles.default.efficiency.recurrent"] == dict(PRIOR.figures())["profiles.default.efficiency.recurrent"]


def test_a_constant_needs_rows_of_several_families() -> None:
    """The same rows, all of two families: each constant is shown, none well enough."""
    two = [replace(s, measured=replace(s.measured, family="ab"[i % 2])) for i, s in enumerate(runs())]
    with pytest.raises(UsageError, match=r"nothing to fit: each of .* needs 5 rows of 3 families"):
        calibrate(two, PRIOR)


def test_what_is_written_is_what_was_scored() -> None:
    found = fitted()
    assert found.after_s == tuple(predictions(runs(), found.runtime).tolist())
    assert found.before_s == tuple(predictions(runs(), PRIOR).tolist())
    assert all(float(f"{value:.4g}") == value for value in found.values.values())


def test_bounds_hold() -> None:
    """Data faster than the machine can be: every efficiency ends at 1, none above."""
    fast = [replace(s, measured=replace(s.measured, latency_s=s.measured.latency_s / 50)) for s in runs()]
    found = calibrate(fast, PRIOR)
    for fit in found.constants:
        assert fit.constant.range.low <= fit.value <= fit.constant.range.high
    (conv,) = (f for f in found.constants if f.constant.path.endswith("efficiency.conv"))
    assert (conv.value, conv.at_bound) == (1.0, True)
    type(PRIOR).model_validate(found.runtime.model_dump(by_alias=True))  # the schema takes it


def test_only_the_constants_asked_for_move() -> None:
    found = calibrate(runs(), PRIOR, ("bandwidth",))
    assert set(found.values) == {"profiles.default.bandwidth"}
    assert found.after.median < found.before.median


def test_folds_never_split_a_family() -> None:
    families = np.array([s.measured.family for s in runs()])
    folds = _folds(families)
    assert sorted(i for rows in folds for i in rows.tolist()) == list(range(len(families)))
    for family in set(families.tolist()):
        assert sum(family in families[rows] for rows in folds) == 1
    assert fitted().folds == len(folds) == len(FAMILIES)


@pytest.mark.parametrize("count", [1, 3, 25, 40])
def test_folds_are_as_even_as_families_allow(count: int) -> None:
    folds = _folds(np.array([f"f{i % count}" for i in range(80)]))
    assert len(folds) == min(count, module.FOLDS)
    sizes = [len(rows) for rows in folds]
    assert max(sizes) - min(sizes) <= math.ceil(80 / count)


def test_a_held_out_row_is_predicted_without_its_family() -> None:
    """A family that alone is ten times slower moves the fit of the others not at all where it is left out."""
    slow = [
        replace(s, measured=replace(s.measured, latency_s=s.measured.latency_s * 10)) if s.measured.family == "vit" else s
        for s in runs()
    ]
    found, plain = calibrate(slow, PRIOR), fitted()
    (place,) = (i for i, s in enumerate(slow) if s.measured.family == "vit")
    assert found.held_out_s[place] == pytest.approx(plain.held_out_s[place], rel=1e-2)
    assert found.held_out_s[place] < slow[place].measured.latency_s / 5


def test_a_machine_is_left_out_in_all_its_modes() -> None:
    """Rows of one machine that is ten times slower move what is predicted for them not at all."""
    machines = ("a", "a:slow", "b", "c")

    def on_machines(factor: float) -> list[Sample]:
        names = [machines[i % len(machines)] for i in range(len(runs()))]
        return [
            replace(s, measured=replace(s.measured, hardware=n, latency_s=s.measured.latency_s * (factor if n[0] == "a" else 1)))
            for s, n in zip(runs(), names, strict=True)
        ]

    slow, plain = (calibrate(on_machines(factor), PRIOR, leave_out="hardware") for factor in (10.0, 1.0))
    assert slow.folds == 3
    assert slow.left_out == slow.to_dict()["left_out"] == "hardware"
    of_a = [i for i, s in enumerate(slow.samples) if s.measured.chip == "a"]
    assert [slow.held_out_s[i] for i in of_a] == pytest.approx([plain.held_out_s[i] for i in of_a], rel=1e-2)
    assert slow.held_out.median > plain.held_out.median


def test_what_can_be_left_out() -> None:
    with pytest.raises(UsageError, match="nothing called 'hardwar' can be left out; did you mean 'hardware'"):
        calibrate(runs(), PRIOR, leave_out="hardwar")
    with pytest.raises(UsageError, match="all rows are of test: without it nothing is left to fit"):
        calibrate(runs(), PRIOR, leave_out="hardware")


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_rows_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} measurement.* too few to fit a constant: at least 5"):
        calibrate(runs()[:count], PRIOR)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 0.0, -1.0])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    bad = [replace(runs()[0], measured=replace(runs()[0].measured, latency_s=seconds)), *runs()[1:]]
    with pytest.raises(UsageError, match=r"gemm:m=64,n=64,k=4096: measured latency"):
        calibrate(bad, PRIOR)


def test_progress_is_told() -> None:
    told: list[str] = []
    calibrate(runs(), PRIOR, ("bandwidth",), told.append)
    assert told[0] == f"{len(NETWORKS)} rows, 1 of 1 constants"
    assert told[-1] == f"without fold {len(FAMILIES)} of {len(FAMILIES)}"


def test_slopes_of_several_engines_are_found_point_by_point() -> None:
    """Only machines of one engine take columns; with a second one that has nothing to do, the latencies are the same."""
    problem = module._Problem(runs()[:6], PRIOR, tuple(f.constant for f in fitted().constants if f.moved))
    rows, points = np.arange(6), np.vstack([problem.prior, problem.prior - 0.05])
    together = problem.latencies(points, rows)
    problem.samples = tuple(replace(s, machine=replace(s.machine, engines=s.machine.engines * 2)) for s in runs()[:6])
    assert (problem.latencies(points, rows) == together).all()
