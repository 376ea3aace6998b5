"""Names of released files: mirrored, never shared, and opaque ones say nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catch11.errors import InvalidArgument, ReleaseError
from catch11.keys.key import Key
from catch11.releases.manifest import safe_path
from catch11.releases.names import Names


def chosen(key: Key, *sources: str, naming: str = "keep", suffix: str = ".png") -> list[str]:
    names = Names(naming, key=key, suffix=suffix, sources=sources)
    return [names.choose(source) for source in sources]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a/b.jpg"], ["a/b.png"]),
        (["a/b"], ["a/b.png"]),
        (["a.gif", "a.jpg", "a.png"], ["a.png", "a.jpg.png", "a.png.png"]),
        (["a.jpg", "a.jpg.png"], ["a.png", "a.jpg.png"]),
        (["a.gif", "a.jpg", "a.jpg.png"], ["a.png", "a.jpg.png", "a.jpg.png.png"]),
        (["A.jpg", "a.jpg"], ["A.png", "a.jpg.png"]),
        (["a.png/x.jpg", "a.jpg"], ["a.png/x.png", "a.jpg.png"]),
        (["\u00e4.jpg", "a\u0308.jpg"], ["\u00e4.png", "a\u0308.jpg.png"]),
        ([".jpg", "v1.2/a"], [".jpg.png", "v1.2/a.png"]),
        (["A.PNG", "a.png", "a.jpg"], ["A.png", "a.png.png", "a.jpg.png"]),
        (["A", "a", "a.png"], ["A.png", "a~1.png", "a.png.png"]),
        (["train\\cat.jpg", "train/cat.jpg"], ["train_cat.png", "train/cat.png"]),
        (["a_b.jpg", "a\\b.jpg", "a:b.jpg"], ["a_b.png", "a_b.jpg.png", "a_b.jpg~1.png"]),
        (["a:b.png/x.jpg", "a_b.jpg"], ["a_b.png/x.png", "a_b.jpg.png"]),
        (["9:41.png", "0:/1.png"], ["9_41.png", "0_/1.png"]),
        (["a\nb.jpg", "a\u2028b", "\x7f.jpg"], ["a_b.png", "a_b~1.png", "_.png"]),
        (
            ["con.jpg", "Aux/a", "COM1 .b.jpg", "lpt\u00b9", "console"],
            ["_con.png", "_Aux/a.png", "_COM1 .b.png", "_lpt\u00b9.png", "console.png"],
        ),
        (["a./b.jpg", "a /b.jpg", "a/b.jpg"], ["a_/b.png", "a_/b.jpg.png", "a/b.png"]),
        (["row1/..", "row1/../x", "/x"], ["row1/_.png", "row1/_/x.png", "x.png"]),
    ],
    ids=repr,
)
def test_mirrored(key: Key, sources: list[str], names: list[str]) -> None:
    assert chosen(key, *sources) == names


PATHS = st.lists(
    st.lists(st.text("aAä. \\:\n", min_size=1, max_size=3), min_size=1, max_size=3)
    .map("/".join), max_size=8, unique=True,
)  # fmt: skip


@pytest.mark.parametrize("naming", ["keep", "opaque"])
@given(sources=PATHS)
def test_no_two_sources_share_a_name(key: Key, naming: str, sources: list[str]) -> None:
    names = chosen(key, *sources, naming=naming)
    assert len({name.casefold() for name in names}) == len(names)
    assert all(safe_path(name) for name in names)
    assert all(name.endswith(".png") for name in names)
    folders = {str(p) for name in sources for p in _parents(name)} if naming == "keep" else set()
    assert not {name.casefold() for name in names} & {folder.casefold() for folder in folders}


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def test_claimed_names_are_not_chosen(key: Key) -> None:
    names = Names("keep", key=key, suffix=".png", sources=["a.gif", "a.jpg"])
    assert names.claim("a.png", "a.jpg")
    assert names.choose("a.gif") == "a.gif.png"
    assert not names.claim("a.gif.png", "a.jpg")


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_long_names_fit_the_file_system(key: Key, letter: str) -> None:
    sources = [f"d/{letter * (250 // len(letter.encode()))}{n}.j" for n in range(3)]
    names = chosen(key, *sources, suffix=".safetensors")
    assert len(set(names)) == 3
    assert all(len(name.split("/")[1].encode()) <= 255 for name in names)
    assert all(name.endswith(".safetensors") and name.startswith("d/") for name in names)


def test_opaque_names_depend_on_key_and_path_alone(key: Key) -> None:
    one, two = chosen(key, "cats/a.jpg", "dogs/a.jpg", naming="opaque")
    assert one != two
    assert [one] == chosen(key, "cats/a.jpg", naming="opaque")
    assert [one] != chosen(replace(key, secret=bytes(32)), "cats/a.jpg", naming="opaque")
    assert len(one) == 36


def test_opaque_order_is_not_the_sources(key: Key) -> None:
    names = Names("opaque", key=key, suffix=".png", sources=())
    sources = [f"{n:03}" for n in range(40)]
    assert sorted(sources, key=names.order) != sources


@pytest.mark.parametrize("source", ["manifest.jsonl/a.jpg", ".catch11/a.jpg", ".CATCH11/a.jpg"])
def test_our_own_names_are_kept_free(key: Key, source: str) -> None:
    with pytest.raises(ReleaseError, match="the source has a folder of this name; rename it"):
        chosen(key, source)


def test_unknown_naming_is_refused(key: Key) -> None:
    with pytest.raises(InvalidArgument, match="names: expected keep or opaque, found random"):
        chosen(key, "a", naming="random")
