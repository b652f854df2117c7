"""The README's commands and what they print: run, compared, and rewritten with `python tests/readme.py [PAGE...]`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_RATE = re.compile(r", [\d,]+ points/s")  # other on every run
_PICTURE = re.compile(r"\]\(images/([^)]+)\)")
_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def blocks(text: str) -> list[str]:
    """The console blocks, without their fences."""
    return _BLOCK.findall(text)


def commands(block: str) -> list[str]:
    """The lines of a block that a person types."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def prepare(folder: Path) -> None:
    """The files that the README tells the reader to write."""
    (folder / "my_npu.yaml").write_text(_YAML.findall(README.read_text(encoding="utf-8"))[0], encoding="utf-8")


def run_block(block: str, folder: Path) -> str:
    """The block as it comes out when its commands are run in `folder`, in a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    lines = []
    for command in commands(block):
        arguments = [sys.executable, "-m", "simulator", *shlex.split(command)[1:]]
        done = subprocess.run(
            arguments, cwd=folder, env=environment, capture_output=True, text=True, check=True, encoding="utf-8"
        )
        lines.append(f"$ {command}")
        lines += [_RATE.sub("", line).rstrip() for line in (done.stderr + done.stdout).splitlines()]
    return "\n".join(lines) + "\n"


def rewritten(text: str, folder: Path) -> str:
    """The README with every console block as it comes out today."""
    prepare(folder)
    return _BLOCK.sub(lambda match: f"```console\n{run_block(match[1], folder)}```", text)


def rewrite(page: Path) -> None:
    """A page with every console block as it comes out today, and the pictures that these write beside it."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        text = page.read_text(encoding="utf-8")
        page.write_text(rewritten(text, Path(place)), encoding="utf-8")
        for name in _PICTURE.findall(text):
            if (Path(place) / name).exists():
                (page.parent / "images").mkdir(exist_ok=True)
                shutil.copyfile(Path(place) / name, page.parent / "images" / name)


if __name__ == "__main__":
    for given in [Path(name) for name in sys.argv[1:]] or [README]:
        rewrite(given)
