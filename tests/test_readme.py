"""The README tells the truth: its commands run and print what it says, its Python runs, its links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests import readme

TEXT = readme.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", readme.blocks(TEXT), ids=lambda b: readme.commands(b)[0])
def test_commands_print_what_the_readme_says(block: str, tmp_path: Path) -> None:
    readme.prepare(tmp_path)
    assert readme.run_block(block, tmp_path) == block


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(source, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    assert (readme.README.parent / target).exists()


def test_ci_runs_the_readmes_test_command() -> None:
    command = "pip install -e '.[dev]' && ./check"
    assert command in TEXT
    script = (readme.README.parent / ".ci/run").read_text(encoding="utf-8")
    assert "-e '.[dev]'" in script
    assert "./check" in script
