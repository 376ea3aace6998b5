"""The deep recoder: the answer stays on the written levels, near a keyed start, or a reason is given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from catch11.canvas.frame import Canvas, Fit
from catch11.canvas.grid import GRIDS
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key, build_key
from catch11.recoding.deep.approach import Approach
from catch11.recoding.deep.closing import Closing
from catch11.recoding.deep.descent import Schedule, descend
from catch11.recoding.deep.recoder import DeepRecoder, schedule_of
from catch11.recoding.deep.start import Look, noise, start_of
from tests.loaded import Loaded
from tests.recoding.spectral.test_box import picture

CANVAS = Canvas(
    height=24, width=20, top=4, left=2, window_height=16, window_width=16, gain=(4.0, 4.0, 4.0),
    offset=(-2.0, -2.0, -2.0), fit=Fit(resize="exact", height=24, width=20),
)  # fmt: skip
WINDOWS = torch.cat([picture((3, 16, 16), seed=i) for i in range(6)])
OTHERS = torch.cat([picture((3, 16, 16), seed=i) for i in range(50, 54)])


def small_net(seed: int = 0) -> nn.Sequential:
    """Two layers and ten classes whose logits spread by about 3."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        front, head = nn.Conv2d(3, 40, 8, stride=8), nn.Linear(160, 10)
    with torch.no_grad():
        front.weight.mul_(4.0)
        head.weight.mul_(8.0)
    net = nn.Sequential(front, nn.GELU(), nn.Flatten(), head)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    return small_net()


@pytest.fixture(scope="module")
def key(net: nn.Sequential) -> Key:
    return build_key(net, canvas=CANVAS, secret=bytes(32))


def logits(net: nn.Module, windows: Tensor) -> Tensor:
    with torch.no_grad():
        return net(CANVAS.normalise(windows))


def lead_over_others(net: nn.Module, made: Tensor, clean: Tensor) -> Tensor:
    """Logit of the clean answer above the highest other; an oracle by loop."""
    gaps = []
    for z, c in zip(logits(net, made), logits(net, clean), strict=True):
        first = int(c.argmax())
        gaps.append(z[first] - max(v for i, v in enumerate(z) if i != first))
    return torch.stack(gaps)


class Row(NamedTuple):
    name: str
    settings: dict[str, object]


ROWS = [
    Row("default", {}),
    Row("fixed radius", {"radius": 12.0}),
    Row("wide margin", {"margin": 1.5}),
    Row("bfloat16", {"precision": "bfloat16"}),
    Row("tensor", {"format": "tensor"}),
    Row("topk", {"agreement": "topk:3", "margin": 0.2, "radius": 40}),
    Row("kl", {"agreement": "kl<0.1", "margin": 0.0, "radius": 60}),
    Row("features", {"at": "features", "agreement": "match<0.9", "radius": 60}),
    Row("maps", {"at": "logits,1*0.5", "agreement": "match<0.9", "radius": 60}),
    Row("decoy", {"start": OTHERS, "look": "decoy"}),
    Row("covered decoy", {"start": OTHERS}),
    Row("faint", {"look": "faint"}),
    Row("spectral", {"start": "spectral"}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_answer_stays_with_the_margin(net: nn.Sequential, key: Key, row: Row) -> None:
    recoder = DeepRecoder(net, key, **row.settings)  # type: ignore[arg-type]
    recoded = recoder(WINDOWS)
    assert recoded.reasons == (None,) * len(WINDOWS)
    made = recoded.images
    assert torch.equal(recoder.domain.grid.round(made), made)
    assert made.min() >= 0.0
    assert made.max() <= 1.0
    margin = recoder.margin
    assert (lead_over_others(net, made, WINDOWS) >= margin - 1e-4).all()
    asked = recoder.agreed
    p, q = logits(net, WINDOWS).softmax(1), logits(net, made).softmax(1)
    if asked.kind == "topk":
        assert torch.equal(p.topk(3).indices.sort().values, q.topk(3).indices.sort().values)
    if asked.kind == "kl":
        assert ((p * (p / q).log()).sum(1) < 0.1 + 1e-5).all()
    if row.name == "features":
        a, b = (net[:3](CANVAS.normalise(v)) for v in (made, WINDOWS))
        assert ((a - b).norm(dim=1) < 0.9 * b.norm(dim=1) + 1e-4).all()


def test_stays_in_the_ball_and_says_so_where_that_is_too_small(
    net: nn.Sequential, key: Key
) -> None:
    recoder = DeepRecoder(net, key, radius=1.0, steps=5, margin=8.0)
    recoded = recoder(WINDOWS)
    streams = [recoder.stream(w) for w in WINDOWS]
    start = torch.stack([noise(s, CANVAS.shape) for s in streams])
    # One level for the ball and half a level for rounding a start that is off the grid.
    assert (recoded.images - start).abs().max() * 255 <= 1.5 + 1e-3
    assert all("within 1/255 in 5 steps: short by" in str(r) for r in recoded.reasons)


def test_auto_stops_in_a_smaller_ball(net: nn.Sequential, key: Key) -> None:
    def radius(recoder: DeepRecoder) -> float:
        streams = [recoder.stream(w) for w in WINDOWS]
        start = torch.stack([noise(s, CANVAS.shape) for s in streams])
        return float((recoder(WINDOWS).images - start).abs().flatten(1).amax(1).mean() * 255)

    assert radius(DeepRecoder(net, key)) < radius(DeepRecoder(net, key, radius=32.0))


@pytest.mark.parametrize(
    ("settings", "flat", "fine"),
    [({"keep": "features"}, True, 0.15),  # within .1
     ({"keep": "features", "tolerance": 0.2}, True, 0.25),
     ({"keep": "features", "tolerance": 0.9}, True, 0.35),
     ({"at": "features", "agreement": "match<0.3"}, True, 0.35),
     ({"keep": "scores"}, False, 0.15)],
    ids=str,
)  # fmt: skip
def test_features_are_approached_evenly_and_loose_ones_from_a_stronger_grain(
    net: nn.Sequential, key: Key, settings: dict[str, str], flat: bool, fine: float
) -> None:
    recoder = DeepRecoder(net, key, **settings)  # type: ignore[arg-type]
    assert isinstance(recoder.schedule, Approach)
    assert recoder.schedule.flat == flat
    stream = recoder.stream(WINDOWS[0])
    begun = recoder.begin.at(key, WINDOWS[0], recoder.stream(WINDOWS[0]))
    assert torch.equal(begun, noise(stream, CANVAS.shape, fine=fine))


def test_same_picture_same_file_whatever_the_batch(net: nn.Sequential, key: Key) -> None:
    recoder = DeepRecoder(net, key, chunk=2)
    together = recoder(WINDOWS).images
    assert torch.equal(recoder(WINDOWS).images, together)
    alone = recoder(WINDOWS[3:4]).images
    assert ((alone - together[3]).abs() > 0).float().mean() < 0.02


@pytest.mark.parametrize("change", ["secret", "tag", "margin"])
def test_files_are_bound_to_key_and_settings(net: nn.Sequential, key: Key, change: str) -> None:
    other = build_key(net, canvas=CANVAS, secret=b"x" * 32) if change == "secret" else key
    one = DeepRecoder(net, key)(WINDOWS).images
    two = DeepRecoder(
        net, other, tag="acme" if change == "tag" else "", margin=0.6 if change == "margin" else 0.5
    )(WINDOWS).images
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1])) < 0.1


def test_a_file_tells_the_answer_and_no_more(net: nn.Sequential, key: Key) -> None:
    """From one keyed stream and one answer comes one file, whatever the source."""
    recoder = DeepRecoder(net, key)
    same = logits(net, WINDOWS).argmax(1)
    stream = [KeyedStream(bytes(32)), KeyedStream(bytes(32))]
    twin = WINDOWS[:1].clone()
    twin[..., 0, 0] += 1 / 255
    assert logits(net, twin).argmax(1) == same[0]
    one = recoder.search(WINDOWS[:1], stream[:1]).points
    two = recoder.search(twin, stream[1:]).points
    assert torch.equal(one, two)


def test_several_models_read_one_file_and_others_do_not(net: nn.Sequential, key: Key) -> None:
    second, third = small_net(1), small_net(2)
    made = DeepRecoder(net, key, also=(second,))(WINDOWS)
    assert made.reasons == (None,) * len(WINDOWS)
    for model in (net, second):
        assert (lead_over_others(model, made.images, WINDOWS) >= -1e-4).all()
    assert (lead_over_others(third, made.images, WINDOWS) < 0.0).float().mean() > 0.5


def test_models_named_against_are_led_to_a_drawn_class(net: nn.Sequential, key: Key) -> None:
    """They answer what the key drew, which says nothing of the picture; the authorized model stays."""
    second = small_net(1)
    made = DeepRecoder(net, key, against=(second,))(WINDOWS)
    assert made.reasons == (None,) * len(WINDOWS)
    assert (lead_over_others(net, made.images, WINDOWS) >= -1e-4).all()
    told = logits(second, made.images).argmax(1)
    assert len(set(told.tolist())) > 1
    assert (told == logits(second, WINDOWS).argmax(1)).float().mean() < 0.6
    other = build_key(net, canvas=CANVAS, secret=b"x" * 32)
    again = DeepRecoder(net, other, against=(second,))(WINDOWS)
    assert not torch.equal(logits(second, again.images).argmax(1), told)


class Narrow(Loaded):
    """A model of another canvas; nothing else of it is looked at."""

    module = None

    def __init__(self) -> None:
        super().__init__(replace(CANVAS, top=3), "", fronts=lambda layer: pytest.fail("asked"))

    def forward(self, pixel_values: Tensor) -> Tensor:
        raise AssertionError


@pytest.mark.parametrize("name", ["also", "against"])
def test_further_models_of_another_canvas_are_refused(
    net: nn.Sequential, key: Key, name: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}: expected models that see"):
        DeepRecoder(net, key, **{name: (Narrow(),)})  # type: ignore[arg-type]


class Dim:
    """A change that takes contrast away; its real face rounds to 8 bits."""

    name = "dim:0.7"

    def soft(self, images: Tensor, severity: Tensor) -> Tensor:
        return 0.5 + (images - 0.5) * (1.0 - 0.3 * severity[:, None, None, None])

    def real(self, images: Tensor, severity: float) -> Tensor:
        assert images.shape[1:] == CANVAS.size
        return ((0.5 + (1 - 0.3 * severity) * (images - 0.5)) * 255).round() / 255


@pytest.mark.parametrize(
    ("settings", "way", "last"),
    [({"keep": "layer:1"}, Closing, 255.0), ({"keep": "layer:1", "radius": 40.0}, Closing, 40.0),
     ({"at": "1,3", "agreement": "match<0.2"}, Closing, 255.0),
     ({"keep": "layer:1", "survive": (Dim(),)}, Approach, 32.0),  # the soft change is drawn anew each step
     ({"keep": "layer:1", "radius": "least"}, Schedule, 8.0)],
    ids=["layer", "radius", "two maps", "survive", "least"],
)  # fmt: skip
def test_layers_are_closed_in_on_where_nothing_else_is_asked(
    net: nn.Sequential, key: Key, settings: dict[str, object], way: type, last: float
) -> None:
    schedule = DeepRecoder(net, key, **settings).schedule  # type: ignore[arg-type]
    assert isinstance(schedule, way)
    assert schedule.last == last


def test_survives_what_it_was_asked_to(net: nn.Sequential, key: Key) -> None:
    plain = DeepRecoder(net, key, margin=1.0)(WINDOWS).images
    recoder = DeepRecoder(net, key, survive=(Dim(),), margin=1.0)
    kept = recoder(WINDOWS)
    assert kept.reasons == (None,) * len(WINDOWS)
    assert recoder.settings["survive"] == "dim:0.7"

    def after(images: Tensor) -> Tensor:
        whole = CANVAS.place(images, torch.full((len(images), *CANVAS.size), 0.5))
        return lead_over_others(net, CANVAS.window(Dim().real(whole, 1.0)), WINDOWS)

    assert (after(kept.images) >= 1.0 - 1e-4).all()
    assert (lead_over_others(net, kept.images, WINDOWS) >= 1.0 - 1e-4).all()
    assert (after(plain) < 1.0).any()


def test_the_least_change_survives_what_is_named_and_moves_less(
    net: nn.Sequential, key: Key
) -> None:
    """Root mean square from the start, over the windows; the start is the same stream's."""
    made = {}
    for radius in ("auto", "least"):
        recoder = DeepRecoder(net, key, survive=(Dim(),), margin=0.0, radius=radius, steps=160)
        streams = [key.stream(bytes([i]), purpose="test") for i in range(len(WINDOWS))]
        starts = torch.stack(
            [
                recoder.begin.at(key, w, key.stream(bytes([i]), purpose="test"))
                for i, w in enumerate(WINDOWS)
            ]
        )
        found = recoder.search(WINDOWS, streams)
        assert (found.gaps >= 0.0).all()
        whole = CANVAS.place(found.points, torch.full((len(WINDOWS), *CANVAS.size), 0.5))
        after = CANVAS.window(Dim().real(whole, 1.0))
        assert (lead_over_others(net, after, WINDOWS) >= -1e-4).all()
        assert (lead_over_others(net, found.points, WINDOWS) >= -1e-4).all()
        made[radius] = (found.points - starts).square().mean((1, 2, 3)).sqrt() * 255
    assert made["least"].mean() < made["auto"].mean()
    assert made["least"].max() <= 8.0 + 0.5
    assert DeepRecoder(net, key, radius="least").settings["radius"] == "least"


def test_a_mean_ball_is_filled_along_the_gradient() -> None:
    """One step towards lower weighted sums, by hand."""
    weights = torch.linspace(0.0, 1.0, 48).reshape(3, 4, 4)

    class Sum:
        gaps = iter((-1.0, -0.5))

        def gap(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            pull = (points * weights).flatten(1).sum(1)
            return torch.full((len(points),), next(self.gaps)), pull

        def confirm(self, points: Tensor, rows: Tensor, gap: Tensor) -> Tensor:
            raise AssertionError

    schedule = Schedule(steps=1, first=4.0, last=4.0, pace=2.0, momentum=0.0, norm="mean")
    start = torch.full((2, 3, 4, 4), 0.5)
    points = descend(start, Sum(), schedule, GRIDS["tensor"]).points
    expected = start - 4 / 255 * weights / weights.square().mean().sqrt()
    assert torch.allclose(points, expected, atol=1e-6)


def test_reason_names_what_it_did_not_survive(net: nn.Sequential, key: Key) -> None:
    class Erase(Dim):
        name = "erase"

        def real(self, images: Tensor, severity: float) -> Tensor:
            return torch.zeros_like(images)

    recoded = DeepRecoder(net, key, survive=(Erase(),), steps=4)(WINDOWS)
    assert any("after erase" in str(reason) for reason in recoded.reasons)


BAD: Sequence[tuple[dict[str, object], str]] = [
    ({"agreement": "top2"}, "agreement: expected top1, topk:K, kl<V or match<V"),
    ({"agreement": "topk:0"}, "agreement: expected topk:K, K at least 1"),
    ({"agreement": "kl<0"}, "agreement: expected a bound above 0"),
    ({"agreement": "match<0.1"}, "agreement: expected maps to match"),
    ({"margin": -1.0}, "margin: expected 0 to 1000 logits"),
    ({"radius": 0}, "radius: expected above 0"),
    ({"steps": 0}, "steps: expected 1 to 100000"),
    ({"chunk": 0}, "chunk: expected at least 1"),
    ({"at": "head.nothing"}, "at: expected logits, features or a module's name"),
    ({"at": "features*x"}, r"at: expected NAME\*WEIGHT"),
    ({"at": {"logits": -1.0}}, "at: expected names with weights above 0"),
    ({"at": {}}, "at: expected names with weights above 0"),
    ({"look": "decoy"}, "start: expected decoy windows for a decoy look"),
    ({"look": "faint", "psnr": 50.0}, "psnr: expected 4 to 40 dB"),
    ({"look": "faint", "start": "spectral"}, "start: expected noise for a faint look"),
    ({"start": torch.rand(3, 16, 16)}, "start: expected decoys of shape"),
    ({"start": torch.rand(2, 3, 16, 16) * 9}, r"start: expected decoys in \[0, 1\]"),
]


@pytest.mark.parametrize(("settings", "sentence"), BAD, ids=[row[1][:50] for row in BAD])
def test_bad_settings(
    net: nn.Sequential, key: Key, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        DeepRecoder(net, key, **settings)  # type: ignore[arg-type]


def test_words_there_are_not(key: Key) -> None:
    """Words the signature already refuses, as they come from where no types are checked."""
    with pytest.raises(InvalidArgument, match="look: expected noise, decoy or faint"):
        start_of("noise", "pretty", key)
    with pytest.raises(InvalidArgument, match="start: expected noise, spectral or decoy windows"):
        start_of("rain", "noise", key)
    with pytest.raises(InvalidArgument, match="radius: expected auto, least or 255ths"):
        schedule_of(60, "big")


def test_another_model_is_refused(key: Key) -> None:
    with pytest.raises(KeyMismatch, match="another model"):
        DeepRecoder(small_net(3), key)


def test_a_key_made_from_the_front_alone_takes_the_model(net: nn.Sequential, key: Key) -> None:
    bare = Key(
        front=key.front, subspace=key.subspace, canvas=CANVAS, rule=key.rule, secret=bytes(32)
    )
    assert DeepRecoder(net, bare)(WINDOWS[:1]).reasons == (None,)


def test_training_mode_is_refused(key: Key) -> None:
    with pytest.raises(InvalidArgument, match="model: expected evaluation mode"):
        DeepRecoder(small_net().train(), key)


def test_whole_pictures_keep_their_margin_empty_of_content(net: nn.Sequential, key: Key) -> None:
    whole = torch.rand(2, 3, 24, 20)
    recoded = DeepRecoder(net, key)(whole)
    assert recoded.images.shape == whole.shape
    windows = CANVAS.window(recoded.images)
    assert (lead_over_others(net, windows, CANVAS.window(whole)) >= -1e-4).all()


@pytest.mark.parametrize("look", ["noise", "faint"])
def test_looks(net: nn.Sequential, key: Key, look: Look) -> None:
    """Only a faint look shows the source."""
    made = DeepRecoder(net, key, look=look)(WINDOWS).images
    shown = [
        float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        for a, b in zip(made, WINDOWS, strict=True)
    ]
    assert (sum(shown) / len(shown) > 0.1) == (look == "faint")


@pytest.mark.parametrize("decibels", [6.0, 10.0, 16.0])
def test_a_faint_look_is_as_far_from_its_source_as_asked(
    net: nn.Sequential, key: Key, decibels: float
) -> None:
    recoded = DeepRecoder(net, key, look="faint", psnr=decibels)(WINDOWS)
    assert recoded.reasons == (None,) * len(WINDOWS)
    assert all(abs(found - decibels) < 0.7 for found in recoded.psnr)
