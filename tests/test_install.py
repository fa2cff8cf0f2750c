"""Ways to install: what Dockerfile, CI template and install page name exists, and works here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from av_tagger import cache
from tests import ROOT

INSTALL = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
Instruction = tuple[str, str]  # COPY, "a b /source/"


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return found


def dockerfile() -> list[Instruction]:
    """The instructions, lines that are continued joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    words = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, _, rest in words]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in dockerfile() if instruction == name]


def copied(source: Path) -> None:
    """Do what COPY does, with a folder for `/source`."""
    for *names, target in map(shlex.split, all_of("COPY")):
        place = source / Path(target).relative_to("/source")
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place)


def test_the_image_has_a_python_that_the_package_supports() -> None:
    (image,) = all_of("FROM")
    version = image.removeprefix("python:").removesuffix("-slim")
    about = project()["project"]
    assert SpecifierSet(about["requires-python"]).contains(f"{version}.0")
    assert f"Programming Language :: Python :: {version}" in about["classifiers"]


def test_the_image_gets_all_that_the_build_reads() -> None:
    sources = {name for rest in all_of("COPY") for name in shlex.split(rest)[:-1]}
    assert all((ROOT / name).exists() for name in sources)
    about, wheel = project()["project"], project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {about["readme"], *about["license-files"], *wheel["packages"], *wheel["force-include"]}
    assert sources == needed | {"pyproject.toml"}


def test_what_is_copied_is_not_ignored() -> None:
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert kept[0] == "*"
    sources = {name for rest in all_of("COPY") for name in shlex.split(rest)[:-1]}
    assert {f"!{name}" for name in sources} <= set(kept)


def test_the_image_runs_the_command_with_its_cache_in_the_volume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (script,) = project()["project"]["scripts"]
    assert all_of("ENTRYPOINT") == [f'["{script}"]']
    assert all_of("CMD") == ['["--help"]']
    (setting,) = all_of("ENV")
    name, _, folder = setting.partition("=")
    assert all_of("VOLUME") == [folder]
    monkeypatch.setenv(name, folder)
    assert cache.root() == Path(folder)


def test_the_page_and_the_dockerfile_name_arguments_that_exist() -> None:
    declared = {rest.partition("=")[0] for rest in all_of("ARG")}
    said = (ROOT / "Dockerfile").read_text(encoding="utf-8") + INSTALL
    used = re.findall(r"--build-arg (\w+)=(\w+)", said)
    assert len(used) >= 2
    assert {name for name, _ in used} == declared
    assert all(re.fullmatch(r"cpu|cu\d{3}", value) for _, value in used)


def test_no_library_of_the_system_is_needed() -> None:
    """A slim image has no libGL, which OpenCV's other build asks for."""
    names = {re.split(r"[^\w-]", line)[0] for line in project()["project"]["dependencies"]}
    assert "opencv-python-headless" in names
    assert not {"opencv-python", "opencv-contrib-python"} & names


def test_every_extra_is_described_and_every_described_extra_exists() -> None:
    described = set(re.findall(r'pip install "\.\[(\w+)\]"', INSTALL))
    assert described == set(project()["project"]["optional-dependencies"]) - {"dev"}


@pytest.mark.slow
@pytest.mark.index
def test_the_steps_of_the_image_work_in_a_folder(tmp_path: Path) -> None:
    """COPY and the second RUN as they stand, without the dependencies, which are here."""
    source, site = tmp_path / "source", tmp_path / "site"
    copied(source)
    step = all_of("RUN")[1].replace("/source", str(source))
    step = step.replace("pip install", f'"{sys.executable}" -m pip install --no-deps -t "{site}"')
    subprocess.run(["bash", "-ec", step], check=True, capture_output=True, text=True)
    assert not source.exists()
    environment = {**os.environ, "PYTHONPATH": str(site), "AV_TAGGER_CACHE": str(tmp_path / "c")}
    show = "import av_tagger; print(av_tagger.__file__)"
    where = [sys.executable, "-c", show]
    done = subprocess.run(
        where, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).is_relative_to(site)
    command = [str(site / "bin" / "av-tag"), "weights", "check", "crnn.starter"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout, "the shipped weights are part of what was installed"


def workflow() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def test_the_ci_template_is_a_workflow() -> None:
    found = workflow()
    assert found["name"] == "tag"
    assert found[True] == ["push"], "yaml reads the word on as true"
    (job,) = found["jobs"].values()
    assert set(job["env"]) == {"AV_TAGGER_CACHE"}
    for step in job["steps"]:
        assert set(step) <= {"uses", "with", "run"}
        assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
    versions = [step["with"]["python-version"] for step in job["steps"] if "python" in str(step)]
    assert SpecifierSet(project()["project"]["requires-python"]).contains(f"{versions[0]}.0")


def test_the_ci_template_keeps_what_its_commands_write() -> None:
    (job,) = workflow()["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    folders = [re.findall(r" -o (\S+)", run) for run in runs]
    kept = job["steps"][-1]["with"]["path"].split()
    assert [path.partition("/")[0] for path in kept] == [f for found in folders for f in found]
