"""The first dial: what files keep is asked for in one word, measured on each file, and stated."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from catch11.errors import InvalidArgument
from catch11.keys.key import Key, build_key
from catch11.recoding.choose import recoder_for
from catch11.recoding.deep.agreement import Agreement
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.deep.target import Target
from catch11.recoding.keep import Keep, keep_asked, keep_of, parse_keep
from catch11.recoding.spectral.recoder import SpectralRecoder
from tests.recoding.deep.test_deep import CANVAS, WINDOWS, small_net


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    return small_net()


@pytest.fixture(scope="module")
def key(net: nn.Sequential) -> Key:
    return build_key(net, canvas=CANVAS, secret=bytes(32))


class Row(NamedTuple):
    keep: str
    tolerance: float | None
    place: slice | None  # of the net, up to which the map is read; None for its scores


ROWS = [
    Row("scores", 0.1, None),
    Row("features", 0.95, slice(0, 3)),
    Row("layer:0", 0.95, slice(0, 1)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.keep)
def test_each_keep_is_held_on_the_written_levels(net: nn.Sequential, key: Key, row: Row) -> None:
    recoder = recoder_for(
        key, keep=row.keep, tolerance=row.tolerance, model=net, radius=120, steps=150
    )
    assert isinstance(recoder, DeepRecoder)
    made = recoder(WINDOWS)
    assert made.reasons == (None,) * len(WINDOWS)
    a, b = (CANVAS.normalise(v) for v in (made.images, WINDOWS))
    assert torch.equal(net(a).argmax(1), net(b).argmax(1))
    if row.place is None:
        p, q = net(b).log_softmax(1), net(a).log_softmax(1)
        far = (p.exp() * (p - q)).sum(1)
    else:
        x, y = (net[row.place](v).flatten(1) for v in (a, b))
        far = (x - y).norm(dim=1) / y.norm(dim=1)
    assert row.tolerance is not None
    assert (far <= row.tolerance).all()
    assert made.distances == pytest.approx(far.tolist(), abs=1e-5)
    assert recoder.keeps.to_dict() == {"keep": row.keep, "tolerance": row.tolerance}


def test_what_no_search_reached_is_withheld_with_its_distance(net: nn.Sequential, key: Key) -> None:
    made = DeepRecoder(net, key, keep="features", tolerance=1e-4, radius=1.0, steps=2)(WINDOWS)
    for far, reason in zip(made.distances, made.reasons, strict=True):
        assert far is not None
        assert far > 1e-4
        assert f"its distance from what was to be kept is {far:.3g} (features" in str(reason)


def test_the_answer_and_everything(net: nn.Sequential, key: Key) -> None:
    usual, asked = (DeepRecoder(net, key, **more) for more in ({}, {"keep": "answer"}))  # type: ignore[arg-type]
    assert usual.settings == asked.settings  # one dial more, and the same files
    made = asked(WINDOWS[:2])
    assert made.distances == (None, None)
    assert torch.equal(made.images, usual(WINDOWS[:2]).images)
    everything = recoder_for(key, keep="all")
    assert isinstance(everything, SpectralRecoder)
    made = everything(WINDOWS[:2])
    assert made.distances == made.front_shift
    assert everything.keeps.to_dict() == {"keep": "all"}


def test_expert_words_say_which_keep_they_are(net: nn.Sequential, key: Key) -> None:
    def kept(**options: Any) -> Keep:
        return DeepRecoder(net, key, **options).keeps

    assert kept(agreement="topk:3").text == "answer"
    assert kept(at="features").text == "answer"  # matched on the way, and not held to
    assert kept(agreement="kl<0.2") == Keep(what="scores", tolerance=0.2)
    assert kept(at="features", agreement="match<0.3") == Keep(what="features", tolerance=0.3)
    assert kept(at="0", agreement="match<0.3").text == "layer:0"
    cosine = Agreement(kind="cosine", value=0.995)
    found = keep_asked(None, None, at="features", agreement=cosine, usual=True)
    assert (found.text, found.tolerance) == ("features", pytest.approx(0.1))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep": "feature"}, "keep: expected answer, .* or all, found 'feature'; nearest: features"),
        ({"keep": "layer"}, "keep: expected answer.*write layer:NAME"),
        ({"keep": "ALL"}, "keep: expected answer.*nearest: all"),
        ({"keep": "features", "model": None}, "--keep features: expected --model MODEL beside it"),
        ({"keep": "layer:"}, "keep: expected answer"),
        ({"keep": "features:1"}, "keep: expected answer"),
        ({"keep": "layer:00"}, "keep: .*module's name .*found 00; nearest: 0"),
        ({"keep": "answer", "tolerance": 0.1}, "tolerance: .*found --keep answer"),
        ({"keep": "scores", "tolerance": 0.0}, "tolerance: expected above 0"),
        ({"tolerance": 0.1}, "tolerance: .*found no --keep"),
        ({"keep": "features", "at": "0"}, "keep: expected no --at and no --agreement"),
        ({"keep": "answer", "agreement": "kl<0.1"}, "keep: expected no --at"),
        ({"keep": "features", "method": "spectral"}, "method: expected --method deep"),
        ({"keep": "all", "method": "deep"}, "method: expected --method spectral"),
    ],
    ids=str,
)  # fmt: skip
def test_refuses(net: nn.Sequential, key: Key, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        recoder_for(key, **{"model": net, "method": None, **options} if "keep" in options
                    else {"model": net, "method": "deep", **options})  # fmt: skip


class Odd(nn.Module):
    """A net whose parts are defined in another order than they run, with a part that does not run."""

    def __init__(self, *, bare: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        side = (WINDOWS.shape[2] // 4) * (WINDOWS.shape[3] // 4)
        self.head = nn.Linear(4 * side, 5)
        self.stem = nn.Conv2d(WINDOWS.shape[1], 4, 4, 4)
        self.body = nn.Sequential(nn.GELU(), nn.Flatten())
        self.aux = nn.Linear(4 * side, 5)
        self.bare = bare

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.body(self.stem(values))
        made: Tensor = found @ self.head.weight.T if self.bare else self.head(found)
        return made


def test_features_are_what_the_linear_layer_reads_that_runs_last() -> None:
    """Neither what was defined last, nor the picture."""
    model = Odd().eval()
    read = Target(model, CANVAS, {"features": 1.0}).read(WINDOWS)
    with torch.no_grad():
        wanted = model.body(model.stem(CANVAS.normalise(WINDOWS)))
    torch.testing.assert_close(read.maps[0], wanted)
    assert read.maps[0].flatten(1).shape[1] < WINDOWS[0].numel()


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Softmax(1)),
        nn.Sequential(nn.Flatten(), nn.Linear(WINDOWS[0].numel(), 5)),
        Odd(bare=True),
    ],
    ids=["no linear layer", "one alone", "a bare product behind the front"],
)
def test_a_model_without_a_last_linear_layer_has_no_features(model: nn.Module) -> None:
    """What a front alone reads is the picture."""
    with pytest.raises(InvalidArgument, match=r"a model with a last linear layer.*need none"):
        Target(model.eval(), CANVAS, {"features": 1.0})


@pytest.mark.parametrize("text", ["answer", "scores", "features", "layer:a.b", "all"])
def test_what_a_release_states_is_read_back(text: str) -> None:
    keep = parse_keep(text)
    assert keep_of(keep.to_dict()) == keep


@pytest.mark.parametrize(
    "facts", [{"keep": 3}, {"keep": "soul"}, {"keep": "features", "tolerance": "near"}]
)
def test_hostile_facts(facts: dict[str, Any]) -> None:
    assert keep_of({}) is None
    with pytest.raises(InvalidArgument, match="keep: expected"):
        keep_of(facts)
