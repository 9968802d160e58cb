"""The ways in agree with each other: pyproject, constraints, conda, make, and what is skipped."""

import ast
import re
import subprocess
import tomllib
from importlib import metadata
from itertools import pairwise

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-cuda.lock")
APART = ("flash", "mutants")  # extras that are installed on their own


@pytest.fixture(scope="module")
def project(repo_root):
    return tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(repo_root):
    """Name to exact version, from constraints.txt."""
    lines = (repo_root / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.fixture(scope="module")
def locked(repo_root):
    """Name to (exact version, number of hashes), from both lock files."""
    text = "".join((repo_root / name).read_text() for name in LOCKS)
    found = {}
    for name, version, rest in re.findall(r"^([\w.-]+)==(\S+)((?:.*\\\n)*.*)", text, re.MULTILINE):
        found[canonicalize_name(name)] = (
            version,
            len(re.findall(r"--hash=sha256:[0-9a-f]{64}", rest)),
        )
    return found


def requirement_set(texts):
    """Requirements as comparable tuples, the order of their version clauses aside."""
    found = map(Requirement, texts)
    return {(canonicalize_name(r.name), str(r.specifier), str(r.marker or "")) for r in found}


def wanted_everywhere(project):
    """Core dependencies and every extra that 'all' holds."""
    extras = project["optional-dependencies"]
    texts = list(project["dependencies"])
    for name, requirements in extras.items():
        if name not in ("all", *APART):
            texts += [text for text in requirements if not text.startswith(f"{project['name']}[")]
    return texts


def conda_file(repo_root):
    text = (repo_root / "environment.yml").read_text()
    return text, yaml.safe_load(text)["dependencies"]


def test_environment_yml_and_pyproject_ask_for_the_same(repo_root, project):
    _, dependencies = conda_file(repo_root)
    pip_lines = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    listed = [line for line in pip_lines if not line.startswith("-")]
    assert requirement_set(listed) == requirement_set(wanted_everywhere(project))
    assert {"-c constraints.txt", "-e ."} <= set(pip_lines)


def test_environment_yml_and_pyproject_ask_for_the_same_python(repo_root, project):
    _, dependencies = conda_file(repo_root)
    assert f"python{project['requires-python']}" in dependencies


def test_flash_attention_is_named_with_the_way_to_install_it(repo_root, project):
    (requirement,) = project["optional-dependencies"]["flash"]
    command = f'pip install --no-build-isolation "{requirement}"'
    assert command in conda_file(repo_root)[0]
    assert command in (repo_root / "pyproject.toml").read_text()


def test_the_extra_all_holds_every_extra_but_those_installed_apart(project):
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all", *APART}


def test_every_pin_lies_within_the_range_of_pyproject(project, pins):
    for text in wanted_everywhere(project):
        requirement = Requirement(text)
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{text} against the pin {version}"


def test_every_installed_dependency_is_pinned(project, pins):
    """The closure is complete: whatever the project pulls in here has an exact version."""
    todo = [Requirement(text) for text in wanted_everywhere(project)]
    seen = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        )
        if name in seen or not applies or name.startswith(("nvidia-", "cuda-", "triton")):
            continue  # torch pins its own CUDA libraries
        seen.add(name)
        try:
            inner = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        assert name in pins or name == "setuptools", f"{name} is installed but not pinned"
        todo += [Requirement(text) for text in inner if "extra ==" not in text]
    assert len(seen) > 50


def test_what_make_installs_is_locked_with_hashes_at_the_versions_of_the_pins(
    project, pins, locked
):
    """`make lock` writes both files anew after a change of pyproject.toml or constraints.txt."""
    assert all(num_hashes > 0 for _, num_hashes in locked.values())
    versions = {name: version for name, (version, _) in locked.items()}
    both = (
        versions.keys() & pins.keys()
    )  # pins of extras that are installed apart are no part of it
    assert {name: versions[name] for name in both} == {name: pins[name] for name in both}
    for text in wanted_everywhere(project):
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_only_the_libraries_of_cuda_are_kept_apart(repo_root):
    kept_apart = {}
    for name in LOCKS:
        lines = (repo_root / name).read_text().splitlines()
        kept_apart[name] = {re.split("[-=]", line)[0] for line in lines if "==" in line[:60]}
    cuda = {"nvidia", "cuda", "triton"}
    assert kept_apart[LOCKS[1]] == cuda and not kept_apart[LOCKS[0]] & cuda


def test_every_dependency_has_a_reason(repo_root):
    text = (repo_root / "pyproject.toml").read_text()
    block = text.split("\ndependencies = [")[1].split("\nall = ")[0]
    lines = block.splitlines()
    for above, line in pairwise(lines):
        if line.startswith('    "'):
            assert re.search(r",  # \w", line) or above.lstrip().startswith("#"), line


@pytest.mark.parametrize("target", ["reproduce", "quick", "scratch", "test", "check", "lab"])
def test_make_knows_the_target_and_installs_before_it(repo_root, target):
    command = ["make", "--dry-run", "VENV=absent-venv", target]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--no-deps --require-hashes -r requirements.lock\n" in done.stdout


def test_make_refuses_a_python_that_is_too_old_or_too_new(repo_root, tmp_path):
    fake = tmp_path / "python"
    fake.write_text(
        '#!/bin/sh\nprogram=$(printf "%s" "$2" | sed "s/sys.version_info/(3, 13)/")\n'
        'exec python3 -c "$program"\n'
    )
    fake.chmod(0o755)
    command = ["make", f"VENV={tmp_path}/venv", f"PYTHON={fake}", "install"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.13 found, but 3.11 or 3.12 is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_the_ci_script_is_executable_and_runs_make(repo_root):
    script = repo_root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "make test" in script.read_text()
    assert "make check" in script.read_text()


def test_every_skip_has_a_row_in_the_quarantine(repo_root):
    rows = (repo_root / "tests" / "QUARANTINE.md").read_text()
    skips = {"skip", "skipif", "importorskip", "xfail", "skipTest"}
    for path in sorted((repo_root / "tests").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        used = {n.attr for n in nodes if isinstance(n, ast.Attribute)} & skips
        if used:
            name = path.relative_to(repo_root / "tests").as_posix()
            assert f"`{name}`" in rows, f"tests/{name} skips, but tests/QUARANTINE.md has no row"
