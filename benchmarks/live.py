"""Predictions of the machine at hand held against it, in one run: probe it, time networks on it, score what was predicted.

Nothing is fitted to a network: the machine's file and the profile of ONNX Runtime come from microbenchmarks alone. Needs
the extra `measure` and a host with nothing else to do. Run it as `python benchmarks/live.py FOLDER [--threads N]`; FOLDER
gets host.yaml, host_ort.yaml and rows.csv.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NETWORKS = (
    "resnet8", "ds_cnn", "autoencoder", "mobilenet_v1_025_vww", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "mnasnet1_0", "efficientnet_b0", "efficientnet_b2", "squeezenet1_1", "shufflenet_v2_x1_0", "resnet18",
    "resnet34", "resnet50", "resnext50_32x4d", "densenet121", "vgg11", "alexnet", "vit_b_16", "deit_tiny", "deit_small",
    "bert_base",
)  # fmt: skip


def sim(*arguments: str) -> None:
    """`sim ARGUMENTS`, printing as it goes."""
    subprocess.run([sys.executable, "-m", "simulator", *arguments], check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Probe, measure, validate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    host, runtime, rows = (folder / name for name in ("host.yaml", "host_ort.yaml", "rows.csv"))
    rows.unlink(missing_ok=True)
    threads = str(options.threads)
    sim("hw", "probe", "-o", str(host), "--runtime-output", str(runtime), "--threads", threads)
    for network in options.networks:
        measured = ("--threads", threads, "--repeats", str(options.repeats), "--hw", str(host), "--top", "1", "-o", str(rows))
        sim("measure", network, *measured)
    text = rows.read_text(encoding="utf-8")
    rows.write_text(text.replace(",onnxruntime,", f",{runtime.name},"), encoding="utf-8")
    sim("validate", str(rows))


if __name__ == "__main__":
    main()
