"""docs/studies.md and the pages of docs/studies/ tell the truth: their commands print what they say, and draw what they show."""

import re
from pathlib import Path

import pytest

from simulator.transform.change import changes
from tests import readme

DOCS = readme.README.parent / "docs"
PAGES = (DOCS / "studies.md", *sorted((DOCS / "studies").glob("*.md")))
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [(page, block) for page, text in TEXTS.items() for block in readme.blocks(text)]


@pytest.mark.parametrize(
    ("page", "block"), BLOCKS, ids=[f"{page.stem}-{readme.commands(block)[0][:60]}" for page, block in BLOCKS]
)
def test_commands_print_what_the_page_says(page: Path, block: str, tmp_path: Path) -> None:
    assert readme.run_block(block, tmp_path) == block
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn <= set(re.findall(r"\]\(images/([^)]+)\)", TEXTS[page]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in set(re.findall(r"\]\(([^)#:]+)\)", TEXTS[page])):
        assert (page.parent / target).exists(), target


def test_every_study_is_in_the_index() -> None:
    index = TEXTS[DOCS / "studies" / "README.md"]
    assert all(f"({page.name})" in index for page in PAGES[1:] if page.name != "README.md")


def test_every_change_is_explained() -> None:
    explained = (DOCS / "changes.md").read_text(encoding="utf-8")
    for name in changes():
        assert f"| `{name}` |" in explained
        assert f"`{name}`" in TEXTS[DOCS / "studies.md"]
