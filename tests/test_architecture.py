"""The layers of the code: who may import whom, who is pure, what `import simulator` loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1] / "simulator"

# Imports go down this list only; a name stands for a module or a package. Names in one row are neighbours that may not
# know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("api",),
    ("studies",),
    ("choosing",),
    ("loading",),
    ("measuring",),
    ("zoo",),
    ("io",),
    ("report",),
    ("study",),
    ("fidelity",),
    ("explanation",),
    ("estimator",),
    ("preparation",),
    ("result",),
    ("schedule",),
    ("cost",),
    ("workload", "model"),
    ("reuse", "feature_maps"),
    ("filters",),
    ("kernels", "transform"),
    ("resolve", "machine"),
    ("ops",),
    ("graph",),
    ("dtypes", "units"),
    ("errors",),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
PURE = (
    "fidelity",
    "explanation",
    "estimator",
    "preparation",
    "result",
    "schedule",
    "cost",
    "workload",
    "model",
    "reuse",
    "feature_maps",
    "filters",
    "kernels",
    "transform",
    "resolve",
    "machine",
    "ops",
    "graph",
    "dtypes",
    "units",
    "errors",
    "study",
)
IMPURE_MODULES = {
    "onnx",
    "yaml",
    "matplotlib",
    "typer",
    "rich",
    "click",
    "os",
    "pathlib",
    "time",
    "datetime",
    "random",
    "shutil",
    "subprocess",
    "sys",
    "mmap",
    "tempfile",
    "io",
    "glob",
    "socket",
    "logging",
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "exit", "quit", "breakpoint"}
LAZY = (
    "onnx",
    "numpy",
    "matplotlib",
    "typer",
    "rich",
    "yaml",
    "pydantic",
    "networkx",
    "pandas",
    "scipy",
    "simulator.cost.blocks",
    "simulator.fidelity",
)
MAY_IMPORT = {
    "io": {"cli", "api", "studies", "choosing", "loading", "measuring", "zoo", "fidelity", "io"},
    "zoo": {"cli", "api", "choosing", "loading", "measuring", "zoo"},
    "report": {"cli", "api", "report"},
}


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its part of the package, its tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        words = self.name.split(".")
        return words[1] if len(words) > 1 else ""


def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if "_data" in path.parts:
            continue
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


MODULES = _modules()
EACH = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(tree: ast.AST, *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run; those inside functions only where `lazy`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif _is_type_checking(node) or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy):
            continue
        else:
            yield from statements(node, lazy=lazy)


def imported(module: Module, *, lazy: bool) -> set[str]:
    """Dotted names of all that a module imports; names from this package as modules where they are some."""
    names = set()
    for node in statements(module.tree, lazy=lazy):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= whole & MODULES.keys() or {node.module}
    return names


def ours(module: Module, *, lazy: bool) -> set[str]:
    return {n for n in imported(module, lazy=lazy) if n.split(".")[0] == "simulator"}


def part_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_every_part_has_a_layer() -> None:
    assert {m.part for m in MODULES.values()} - {""} <= RANK.keys()


@EACH
def test_imports_go_down(module: Module) -> None:
    if not module.part:
        return  # __init__ hands out names of every layer, when asked
    wrong = []
    for name in ours(module, lazy=True):
        part = part_of(name)
        if part and part != module.part and RANK[part] <= RANK[module.part]:
            wrong.append(f"{module.name} (layer {module.part}) imports {name} (layer {part})")
    assert not wrong


@EACH
def test_few_import_the_edges(module: Module) -> None:
    for name in ours(module, lazy=True):
        allowed = MAY_IMPORT.get(part_of(name))
        assert allowed is None or module.part in allowed, f"{module.name} imports {name}"


@EACH
def test_the_pure_parts_touch_nothing_outside(module: Module) -> None:
    if module.part not in PURE:
        return
    used = {n.split(".")[0] for n in imported(module, lazy=True)} & IMPURE_MODULES
    assert not used
    calls = {n.func.id for n in ast.walk(module.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & IMPURE_CALLS


@EACH
def test_nobody_prints_but_the_command(module: Module) -> None:
    if module.part in ("cli", "__main__"):
        return
    calls = {n.func.id for n in ast.walk(module.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"print", "exit", "quit"}
    assert "sys" not in imported(module, lazy=True)


@EACH
def test_no_relative_and_no_star_imports(module: Module) -> None:
    for node in statements(module.tree, lazy=True):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert all(alias.name != "*" for alias in node.names)


def cycles(*, lazy: bool) -> list[list[str]]:
    graph = nx.DiGraph((m.name, n) for m in MODULES.values() for n in ours(m, lazy=lazy) if n in MODULES and n != m.name)
    graph.remove_nodes_from([m.name for m in MODULES.values() if m.path.name == "__init__.py"])  # facades
    return [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]


def test_no_import_cycles() -> None:
    assert cycles(lazy=False) == []


def test_no_import_cycles_hidden_in_functions() -> None:
    assert cycles(lazy=True) == []


# ---- what loading costs -------------------------------------------------------------------------------------------


def loads(statement: str) -> set[str]:
    """Which of the heavy modules a fresh process has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted(m for m in {LAZY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loads("import simulator") == set()


def test_a_machine_loads_neither_onnx_nor_plots() -> None:
    assert not loads("import simulator; simulator.load_hardware('rtx4090')") & {"onnx", "matplotlib", "typer", "pandas"}


def test_an_estimate_of_a_file_loads_neither_onnx_nor_plots(tmp_path: Path) -> None:
    from support.graphs import model, node, value, weight

    path = tmp_path / "m.onnx"
    path.write_bytes(model([node("MatMul", "x w", "y")], [value("x", 1, 8)], ["y"], [weight("w", 8, 8)]).SerializeToString())
    assert not loads(f"import simulator as s; s.estimate({str(path)!r}, 'rtx4090').to_dict()") & {
        "onnx",
        "matplotlib",
        "typer",
        "networkx",
        "scipy",
        "simulator.cost.blocks",
        "simulator.fidelity",
    }


def test_blocks_are_loaded_where_a_machine_works_by_them() -> None:
    assert "simulator.cost.blocks" in loads("import simulator as s; s.estimate('resnet8', 'ethos_u55_128', precision='int8')")


def test_listing_the_catalogue_does_not_load_onnx() -> None:
    assert "onnx" not in loads("from simulator import zoo; zoo.list_recipes()")


def test_the_public_names_exist() -> None:
    import simulator

    for name in simulator.__all__:
        assert getattr(simulator, name).__name__ == name
    assert set(simulator.__all__) <= set(dir(simulator))
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = simulator.absent


# ---- habits -------------------------------------------------------------------------------------------------------


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions, classes, and methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@EACH
def test_everything_public_says_what_it_is(module: Module) -> None:
    source = module.path.read_text(encoding="utf-8")
    assert not source.strip() or ast.get_docstring(module.tree), module.name
    assert [n.name for n in public(module.tree) if not ast.get_docstring(n)] == []


@EACH
def test_sizes_stay_within_the_budget(module: Module) -> None:
    """At most 500 lines a file and 60 a function (STYLE.md section 2), docstrings left out."""
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= 500
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            skipped = (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0
            assert (node.end_lineno or 0) - node.lineno + 1 - skipped <= 60, node.name


@EACH
def test_no_bare_or_broad_except(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = {c.id for c in caught if isinstance(c, ast.Name)} & {"Exception", "BaseException"}
            assert not broad or module.part == "cli"  # which owes its user a message, never a traceback
