"""catch11 doctor: can this machine run everything, and what to do where it cannot."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from rich.markup import escape

from catch11.cli.frame import FINDING, Answer, command
from catch11.cli.views import list_view

if TYPE_CHECKING:
    from packaging.requirements import Requirement

State = Literal["ok", "note", "bad"]
SIGNS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[bold red]bad[/]"}
IMPORT_SECONDS = 120  # a cold transformers import on a slow disk takes tens of seconds
SCRATCH_BYTES = 1 << 30


@command("Start")
def doctor() -> Answer:
    """Check versions, devices and optional packages, and say how to mend what is broken.

    Exit status 1 if something that catch11 needs is broken.

    Example: catch11 doctor
    """
    findings = examine()
    rows = [(SIGNS[one.state], *map(escape, (one.name, one.found, one.remedy))) for one in findings]
    table = list_view(("", "what", "found", "remedy"), rows)
    broken = [finding.name for finding in findings if finding.state == "bad"]
    facts = {"sound": not broken, "findings": [asdict(finding) for finding in findings]}
    return Answer(facts=facts, view=table, status=FINDING if broken else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: "bad" stops the package from working, "note" limits it."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine() -> tuple[Finding, ...]:
    """Every finding, in the order in which a person would mend them."""
    return (_python(), *_packages(), *_imports(), _device(), _cipher(), _scratch())


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(name="python", state="ok", found=found)


def _packages() -> Iterator[Finding]:
    """One finding a required package; one an extra, naming what it lacks."""
    import importlib.metadata as metadata

    from packaging.requirements import Requirement

    extras: dict[str, list[str]] = {}
    for text in metadata.requires("catch11") or ():
        need = Requirement(text)
        extra = _extra(need)
        if extra is None:
            yield _required(need)
        elif need.name != "catch11":
            extras.setdefault(extra, []).extend([] if _version(need.name) else [need.name])
    for extra, lacking in sorted(extras.items()):
        if extra == "test":
            continue
        if lacking:
            remedy = f"pip install 'catch11[{extra}]' if you need it"
            found = f"lacks {', '.join(lacking)}"
            yield Finding(name=f"extra {extra}", state="note", found=found, remedy=remedy)
        else:
            yield Finding(name=f"extra {extra}", state="ok", found="installed")


def _extra(need: "Requirement") -> str | None:
    marker = str(need.marker or "")
    return marker.split("extra == ")[1].strip("\"' ") if "extra == " in marker else None


def _version(name: str) -> str | None:
    import importlib.metadata as metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _required(need: "Requirement") -> Finding:
    version = _version(need.name)
    remedy = f"pip install '{need.name}{need.specifier}'"
    if version is None:
        return Finding(name=need.name, state="bad", found="not installed", remedy=remedy)
    if not need.specifier.contains(version, prereleases=True):
        found = f"{version}, needs {need.specifier}"
        return Finding(name=need.name, state="bad", found=found, remedy=remedy)
    return Finding(name=need.name, state="ok", found=version)


def _imports() -> Iterator[Finding]:
    """Packages that install well and import badly, tried in a process of their own."""
    if _version("torchvision"):
        yield judge_torchvision(_import("torchvision"))
    trouble = _import("transformers.modeling_utils, transformers.image_processing_utils")
    if trouble:
        remedy = "pip install --force-reinstall transformers, with the constraints you tested"
        yield Finding(name="transformers import", state="bad", found=trouble, remedy=remedy)


def judge_torchvision(trouble: str) -> Finding:
    """The finding for the last line that `import torchvision` left, empty when it went well."""
    if not trouble:
        return Finding(name="torchvision", state="ok", found="imports")
    remedy = "pip uninstall torchvision (catch11 does not need it)"
    if "torchvision::nms" in trouble:
        trouble += " (built for another torch; transformers fails with it too)"
        remedy += ", or install the torchvision release made for this torch, CPU with CPU"
    return Finding(name="torchvision", state="bad", found=trouble, remedy=remedy)


def _import(modules: str) -> str:
    """Empty if the modules import, else the last line of what went wrong."""
    run = [sys.executable, "-c", f"import {modules}"]
    try:
        done = subprocess.run(run, capture_output=True, text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"import did not end within {IMPORT_SECONDS} s"
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1] if done.returncode else ""


def _device() -> Finding:
    import torch

    threads = f"{os.cpu_count()} CPUs, {torch.get_num_threads()} torch threads"
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return Finding(name="device", state="ok", found=f"{', '.join(sorted(names))}; {threads}")
    remedy = "the deep recoder is many times faster on a GPU; everything runs without one"
    return Finding(name="device", state="note", found=f"no GPU; {threads}", remedy=remedy)


def _cipher() -> Finding:
    """The secret streams and encrypted keys need ciphers that a restricted OpenSSL may lack."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    uses: tuple[Callable[[], object], ...] = (
        lambda: Cipher(algorithms.ChaCha20(bytes(32), bytes(16)), mode=None).encryptor(),
        lambda: Cipher(algorithms.AES(bytes(32)), modes.GCM(bytes(12))).encryptor(),
        lambda: Scrypt(salt=bytes(16), length=32, n=2, r=8, p=1).derive(b""),
    )
    try:
        for use in uses:
            use()
    except Exception as error:  # noqa: BLE001 - whatever OpenSSL raises is the finding
        remedy = "use an OpenSSL that offers ChaCha20, AES-GCM and scrypt (no FIPS-only provider)"
        return Finding(name="ciphers", state="bad", found=str(error), remedy=remedy)
    return Finding(name="ciphers", state="ok", found="ChaCha20, AES-GCM, scrypt")


def _scratch() -> Finding:
    folder = tempfile.gettempdir()
    remedy = "set TMPDIR to a writable folder with room"
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name="scratch", state="bad", found=f"{folder}: {error}", remedy=remedy)
    found = f"{folder}, {free / 2**30:.1f} GiB free"
    if free < SCRATCH_BYTES:
        return Finding(name="scratch", state="note", found=found, remedy=remedy)
    return Finding(name="scratch", state="ok", found=found)
