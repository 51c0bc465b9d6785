"""The shape of the project: rows of imports, no circles, docstrings, sizes, one version, no traces of a machine."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import photostyle
from photostyle.options.config import TransferConfig, option_help

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "photostyle"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 60  # of code, in one function
STILL_LONGER = {"batch.batch_command"}

ROWS = [
    {"errors", "progress", "_version"},
    {"options", "images", "filters"},
    {"networks", "regions", "colors"},
    {"objective", "field"},
    {"solvers"},
    {"preparation", "finish"},
    {"record", "pipeline"},
    {"studies", "report"},
    {"batches", "video"},
    {"apps", "__main__", "__init__"},
]
SEEN_BY_APPS = {part for row in (0, 1, 6, 7, 8, 9) for part in ROWS[row]} - {"filters", "__init__"}
SEEN_BY_APPS_MODULES = {"photostyle.networks.fetch", "photostyle.networks.weights"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The folder or file of the layout that a module belongs to; the package itself counts as the last row."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def row_of(module: str) -> int:
    rows = [number for number, row in enumerate(ROWS) if part_of(module) in row]
    assert rows, f"{module} is in no row of the layout"
    return rows[0]


@cache
def names_of_package(package: str) -> set[str]:
    """The names that the __init__ of a package takes out of modules; a module of the same name is hidden by it."""
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else ()
    taken = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module != package and not node.level]
    return {alias.asname or alias.name for node in taken for alias in node.names}


def imports_of(source: str, module: str, is_package: bool) -> set[str]:
    """The modules of photostyle that a source imports, wherever the statement stands, for types alone as well."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")
                kept = len(package) - node.level + is_package
                base = ".".join([*package[:kept], *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                path = ROOT.joinpath(*inner.split("."))
                is_module = path.is_dir() or path.with_suffix(".py").is_file()
                found.add(inner if is_module and alias.name not in names_of_package(base) else base)
    return {name for name in found if name.split(".")[0] == "photostyle"}


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    found = []
    for target in sorted(imports_of(source, module, is_package)):
        if row_of(target) > row_of(module):
            found.append(f"{module} imports {target} from a later row")
        if part_of(module) == "apps" and part_of(target) not in SEEN_BY_APPS and target not in SEEN_BY_APPS_MODULES:
            found.append(f"{module} imports {target}, which apps don't see")
    return found


def test_nothing_imports_from_a_later_row():
    assert len(FILES) > 30
    found = []
    for path in FILES:
        if path != PACKAGE / "__init__.py":
            found += violations(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")
    assert found == []


@pytest.mark.parametrize(
    ("module", "source", "bad"),
    [
        ("photostyle.images.read", "from photostyle.regions.labels import whole", True),
        ("photostyle.images.read", "def f():\n    import photostyle.solvers.run", True),
        ("photostyle.images.read", "from photostyle import pipeline", True),
        ("photostyle.images.read", "import photostyle", True),
        ("photostyle.images.read", "from ..objective import gram", True),
        ("photostyle.images.read", "from . import write", False),
        ("photostyle.images.read", "from photostyle.errors import ImageError", False),
        ("photostyle.images.read", "if TYPE_CHECKING:\n    from photostyle.pipeline import Result", True),
        ("photostyle.images.read", "if TYPE_CHECKING:\n    from photostyle.errors import ImageError", False),
        ("photostyle.images.read", "if TYPE_CHECKING:\n    pass\nelse:\n    import photostyle.pipeline", True),
        ("photostyle.networks.vgg", "from photostyle.regions.labels import whole", False),
        ("photostyle.apps.cli.app", "from photostyle.solvers.run import solve", True),
        ("photostyle.apps.cli.app", "from photostyle.networks import load_backbone", True),
        ("photostyle.apps.cli.app", "from photostyle import transfer", True),
        ("photostyle.apps.cli.models", "from photostyle.networks.weights import list_models", False),
        ("photostyle.apps.cli.app", "import torch, photostyle.report.sheet", False),
    ],
)
def test_the_walk_sees_what_it_should(module, source, bad):
    assert bool(violations(source, module)) == bad


def graph_of(files: list[Path]) -> dict[str, set[str]]:
    """The modules that each module imports."""
    return {
        module_name(path): imports_of(path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py")
        for path in files
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module: each leads to all others along imports."""
    reached: dict[str, set[str]] = {}
    for module in graph:
        seen, waiting = set(), [module]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        reached[module] = seen
    groups = {frozenset(n for n in reached[m] & graph.keys() if m in reached[n]) | {m} for m in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_no_files_import_each_other_in_a_circle():
    graph = graph_of(FILES)
    told = [f"{module} imports {', '.join(sorted(graph[module] & set(c)))}" for c in circles(graph) for module in c]
    assert not told, "\n".join(told)


def test_the_graph_has_all_kinds_of_imports():
    graph = graph_of(FILES)
    assert (
        "photostyle.regions.segmentation.cache" in graph["photostyle.regions.segmentation"]
    )  # from package import module
    assert "photostyle.images" in graph["photostyle.pipeline"]  # resize is a function of it, and hides the module
    assert "photostyle.images.resize" in graph["photostyle.images"]
    assert "photostyle.errors" in graph["photostyle.studies.sweep"]  # for types
    assert "photostyle.studies.sweep" in graph["photostyle.apps.cli.sweep"]  # in a function
    assert set().union(*graph.values()) <= graph.keys()


def test_the_search_for_circles_finds_them():
    graph = {"a": {"b", "x"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": {"f"}, "f": {"d", "f"}, "g": {"g", "a"}}
    assert circles(graph) == [["b", "c"], ["d", "e", "f"]]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("photostyle.errors", "if TYPE_CHECKING:\n    from photostyle.pipeline import Result"),
        ("photostyle.errors", "def f():\n    from photostyle import pipeline"),
        ("photostyle.images.exif", "from photostyle.images import resize"),
        ("photostyle.images.exif", "from . import write"),
    ],
)
def test_an_import_that_would_close_a_circle_is_found(module, source):
    graph = graph_of(FILES)
    graph[module] = graph[module] | imports_of(source, module, is_package=False)
    (found,) = circles(graph)
    assert module in found


def test_every_part_of_the_package_is_in_a_row():
    assert {part_of(module_name(path)) for path in FILES} <= set().union(*ROWS)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_module_says_what_it_is_and_has_what_it_offers(path):
    source = path.read_text(encoding="utf-8")
    if not source.strip():
        return
    assert ast.get_docstring(ast.parse(source))
    module = importlib.import_module(module_name(path))
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(module, name), f"{module.__name__}.__all__ names {name}"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """The lines of a function that hold code: no docstring, no blank, no comment."""
    body = function.body
    documented = ast.get_docstring(function) is not None
    skipped = range(body[0].lineno, (body[0].end_lineno or 0) + 1) if documented else ()
    numbers = range(function.lineno, (function.end_lineno or 0) + 1)
    return sum(n not in skipped and lines[n - 1].strip()[:1] not in ("", "#") for n in numbers)


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "scripts").glob("*.py"))], ids=lambda path: path.name)
def test_functions_are_short_and_files_are_named_for_what_they_hold(path):
    assert path.stem not in ("util", "utils", "helpers", "common", "misc")
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = code_lines(node, source.splitlines())
            known = f"{path.stem}.{node.name}" in STILL_LONGER
            assert (length > MOST_LINES) == known, f"{path}: {node.name} has {length} lines of code"


def test_what_counts_as_code():
    source = 'def f(a):\n    """One."""\n\n    # a comment\n    b = (\n        a\n    )\n    return b\n'
    assert code_lines(ast.parse(source).body[0], source.splitlines()) == 5


def test_eight_files_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_every_option_has_help():
    for field in fields(TransferConfig):
        assert option_help(field.name).strip(), field.name


def test_a_solver_knows_neither_regions_nor_networks():
    """It is handed the objective of each stage; only the estimate of its memory asks which network is seen through."""
    for module, imported in graph_of(FILES).items():
        if module.startswith("photostyle.solvers.") and module != "photostyle.solvers.estimate":
            assert not {part_of(name) for name in imported} & {"regions", "networks"}, module


def test_only_the_faces_print_or_exit():
    for path in FILES:
        if part_of(module_name(path)) in ("apps", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("print", "exit", "quit", "sys.exit", "os._exit"), path


def test_no_star_imports():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert [alias.name for alias in node.names] != ["*"], path


def test_the_version_is_written_once():
    version = photostyle.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(dev|a|b|rc|post)\d+)?", version)
    literal = re.compile(rf"""["']{re.escape(version)}["']""")
    where = [path for path in FILES if literal.search(path.read_text(encoding="utf-8"))]
    assert where == [PACKAGE / "_version.py"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert ROOT / project["tool"]["hatch"]["version"]["path"] == PACKAGE / "_version.py"


def test_the_package_offers_what_it_names_sorted():
    names = photostyle.__all__
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(photostyle, name) is not None


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()


def test_no_file_names_a_path_of_this_machine():
    needles = ["/" + "work/", "/" + "root/", "/tmp/" + "venv"]
    texts = {".py", ".toml", ".md", ".txt", ".json", ".yaml", ".yml", ".cfg", ".ini", ".sh", ".typed", ""}
    folders = ["photostyle", "models", "tests", "scripts", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in texts]
    files += [*(ROOT / "samples").rglob("*.txt"), *(ROOT / "samples").rglob("*.json")]
    files += [path for path in ROOT.iterdir() if path.suffix in texts and path.name not in {".git", ".coverage"}]
    checked = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    assert {"app.py", "ade20k.toml", "test_structure.py", "README.md", "Makefile", "LICENCES.txt", "run"} <= {
        path.name for path in checked
    }
    for path in checked:
        content = path.read_text(encoding="utf-8")
        assert not [needle for needle in needles if needle in content], path
