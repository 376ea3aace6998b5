"""To add a recoder: a file with it, and where that lies in `KINDS`; a test, a line of docs.

The toy recoder here is outside the package; Python and the command choose, release and judge it.
"""

import sys
from pathlib import Path

import pytest

from catch11 import recoder_for, release, save_key, verify
from catch11.errors import InvalidArgument
from catch11.kinds import IMAGE, KINDS
from catch11.recoding import registry
from catch11.recoding.registry import registered
from tests.calls import run, said
from tests.world import World, build_world

HOME = "tests.extending.plain"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=8)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered for one test, as an import registers it for one process."""
    for kind in KINDS:
        registry.methods_of(kind)
    monkeypatch.setitem(KINDS[IMAGE].recoders, "plain", HOME)
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    monkeypatch.delitem(sys.modules, HOME, raising=False)


def test_python_chooses_it(world: World, tmp_path: Path) -> None:
    recoder = recoder_for(world.key, method="plain", amplitude=0.25)
    assert recoder.settings == {"method": "plain", "format": "png8", "amplitude": 0.25}
    done = release(world.source, tmp_path / "out", recoder, check=world.model, workers=2)
    assert done.written == 8
    found = verify(tmp_path / "out", world.model, source=world.source, key=world.key)
    assert found.problems == ()
    assert {record.settings["method"] for record in found.records} == {"plain"}


def test_the_command_chooses_it(world: World, tmp_path: Path) -> None:
    save_key(world.key, tmp_path / "my.key")
    words = ("recode", world.source, tmp_path / "out", "--key", tmp_path / "my.key")
    status, text = run(*words, "--method", "plain")
    assert status == 0, text
    assert "8 written" in text
    status, text = run("inspect", tmp_path / "out")
    assert (status, "plain" in text) == (0, True)
    assert "expected no such option for images with --method plain" in said(
        *words, "--method", "plain", "--psnr", 9
    )
    assert "method: expected spectral or deep or scramble or plain" in said(
        *words, "--method", "magic"
    )


def test_bad_options_are_its_own_sentence(world: World) -> None:
    with pytest.raises(InvalidArgument, match="amplitude: expected 0 to 1, found 2"):
        recoder_for(world.key, method="plain", amplitude=2.0)


def test_a_second_recoder_of_one_method_and_kind_is_refused(world: World) -> None:
    made = type(recoder_for(world.key, method="plain"))
    with pytest.raises(InvalidArgument, match="no other recoder plain for image, found PlainRec"):
        registered("image")(made)
    assert registered("sketch")(made) is made
