"""The findings of `catch11 doctor`."""

import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from catch11.cli import doctor


def test_this_machine_is_sound() -> None:
    findings = {finding.name: finding for finding in doctor.examine()}
    assert [name for name, finding in findings.items() if finding.state == "bad"] == []
    assert {"python", "torch", "device", "ciphers", "scratch"} <= set(findings)


MODULES = {
    "argon2-cffi": "argon2",
    "opencv-python-headless": "cv2",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}  # of packages whose module has another name
TOOLS = {"docs", "test"}  # extras of the checkout, which no code imports
CODE = "\n".join(file.read_text() for file in Path(doctor.__file__).parents[1].rglob("*.py"))


def test_every_extra_has_code_and_is_looked_for() -> None:
    """An extra that no code imports any more, or that `doctor` does not know, is red here."""
    needs: dict[str, set[str]] = {}
    for need in map(Requirement, metadata.requires("catch11") or ()):
        extra = doctor._extra(need)
        if extra is not None and need.name != "catch11":
            needs.setdefault(extra, set()).add(need.name)
    shown = {f.name.removeprefix("extra ") for f in doctor._packages() if "extra " in f.name}
    assert shown == set(needs) - {"test"}
    for extra in shown - TOOLS:
        for name in needs[extra]:
            module = MODULES.get(name, name.replace("-", "_"))
            assert re.search(rf'(import|from) {module}\b|[( ]"{module}\b|\+{module}:', CODE, re.M), (
                extra, name,
            )  # fmt: skip


class Case(NamedTuple):
    need: str
    state: str
    found: str


@pytest.mark.parametrize(
    "case",
    [
        Case("torch>=2", "ok", "2."),
        Case("torch>=99", "bad", "needs >=99"),
        Case("no-such-package-of-ours>=1", "bad", "not installed"),
    ],
    ids=repr,
)
def test_required_package(case: Case) -> None:
    finding = doctor._required(Requirement(case.need))
    assert finding.state == case.state
    assert case.found in finding.found
    assert bool(finding.remedy) == (case.state == "bad")


def test_mismatched_torchvision_is_named_with_its_remedy() -> None:
    finding = doctor.judge_torchvision("RuntimeError: operator torchvision::nms does not exist")
    assert finding.state == "bad"
    assert "another torch" in finding.found
    assert "uninstall" in finding.remedy
    assert doctor.judge_torchvision("").state == "ok"


def test_import_trouble_is_its_last_line() -> None:
    assert doctor._import("json") == ""
    assert "No module named 'no_such_module'" in doctor._import("no_such_module")


def test_unwritable_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    assert doctor._scratch().state == "bad"


def test_missing_cipher(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf import scrypt

    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedAlgorithm("scrypt is not supported")

    monkeypatch.setattr(scrypt, "Scrypt", refuse)
    finding = doctor._cipher()
    assert finding.state == "bad"
    assert "scrypt is not supported" in finding.found
