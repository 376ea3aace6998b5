"""Key: what recodes for one model. Holds the front, the insensitive subspace, the canvas, a secret."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from catch11.canvas.frame import Canvas
from catch11.crypto.stream import KeyedStream, keyed_stream
from catch11.errors import Catch11Error, InvalidArgument, KeyMismatch
from catch11.fronts.find import find_front
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import NO_LAYER, Front
from catch11.keys.authorized import Authorized, is_private, modality_read
from catch11.kinds import IMAGE
from catch11.subspaces.conv import conv_subspace
from catch11.subspaces.joint import Join, joint_front
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import Subspace, tile_subspace

SECRET_BYTES = 32
PROBED = "probed"  # the layer name of a front estimated from features
_ESTIMATED = 0.02  # relative error such an estimate may have; fine-tuned siblings are often nearer
# Beside an exact null space five ten-thousandths of the weight's energy make room in the box, and cost
# photographs no answers (docs/lab/spectral.md); without one, a thousandth is what the strength has to
# be taken from. An overlapping convolution takes directions beside its subspace anyway, by their gain.
DEFAULT_RULE = Rule(kind="energy", value=5e-4)
DEFAULT_RULE_FULL_RANK = Rule(kind="energy", value=1e-3)
DEFAULT_RULE_CONV = Rule(kind="energy", value=1e-4)
TOKENS = 6  # one direction in six of a token front, which has no null space to speak of


@dataclass(frozen=True, kw_only=True, eq=False)
class Key:
    """A secret with the front, subspace and canvas it works on. Its repr never shows the secret.

    secret: 32 bytes from the operating system. model_fingerprint: of all the model's tensors, ""
    where the owner never saw them. members: front fingerprints of the models of a joint key.
    modality: the kind of data it recodes; its row stands in `catch11.kinds`. private: its model is a
    personalised copy, so that pictures are scrambled by that copy's secret first. psnr: dB that
    pictures are released with where nothing is asked for, if some were tried; see `usual_psnr`.
    """

    front: Front
    subspace: Subspace
    canvas: Canvas
    rule: Rule
    secret: bytes = field(repr=False)
    model_fingerprint: str = ""
    members: tuple[str, ...] = ()
    modality: str = IMAGE
    private: bool = False
    psnr: float | None = None

    def __post_init__(self) -> None:
        check_secret(self.secret)
        if self.psnr is not None and not 0.0 <= self.psnr <= 100.0:
            raise InvalidArgument("psnr", expected="0 to 100 dB", found=self.psnr)
        if self.front.shape != self.canvas.shape:
            raise InvalidArgument(
                "canvas", expected=f"the front's window {self.front.shape}", found=self.canvas.shape
            )

    def __repr__(self) -> str:
        return f"Key({self.fingerprint[:16]}, {self.front!r}, {self.subspace.dimension} directions)"

    @cached_property
    def front_fingerprint(self) -> str:
        """Of the folded front and the canvas; a torch model and its export share it."""
        return front_fingerprint(self.front, self.canvas)

    @cached_property
    def fingerprint(self) -> str:
        """The key's public name, 64 hex digits: two keys of one model differ by their secrets."""
        public = f"{self.front_fingerprint} {self.model_fingerprint} {self.rule}"
        public += "".join(f" {member}" for member in self.members)
        public += "" if self.modality == IMAGE else f" {self.modality}"
        return hmac.new(self.secret, b"catch11 key " + public.encode(), hashlib.sha256).hexdigest()

    def stream(self, *parts: bytes, purpose: str) -> KeyedStream:
        """The key's own random stream for one purpose and one item; the same again when asked again."""
        return keyed_stream(self.secret, purpose, *parts)

    def check_front(self, front: Front, canvas: Canvas) -> None:
        """Raises KeyMismatch unless the key was built from this front and canvas."""
        found = front_fingerprint(front, canvas)
        if self.front.layer == PROBED and _alike(self.front, front) and canvas == self.canvas:
            return
        known = self.members or (self.front_fingerprint,)
        if found not in known:
            raise KeyMismatch("front", expected=" or ".join(k[:16] for k in known), found=found)

    def check_reader(self, model: Authorized) -> None:
        """Raises KeyMismatch unless `model` reads what this key recodes.

        A key made with a layer of its own is held against that layer.
        """
        try:
            self.check_front(model.front(NO_LAYER if self.front.blind else None), model.canvas)
        except KeyMismatch as mismatch:
            try:
                named = model.front(self.front.layer)
            except Catch11Error:
                raise mismatch from None
            self.check_front(named, model.canvas)

    def check_unseen(self) -> None:
        """Raises InvalidArgument for a key that leaves nothing unseen, for a method that needs some."""
        if self.front.blind:
            raise InvalidArgument(
                "key", expected="a key of a layer", found="one made with --layer none",
                remedy="nothing is unseen with it: recode with --method deep and --model MODEL",
            )  # fmt: skip

    def check_model(self, model: nn.Module | Authorized) -> None:
        """Raises KeyMismatch unless the key was built from exactly these weights.

        A key without a model fingerprint, made from a front alone, takes any model.
        """
        if not self.model_fingerprint:
            return
        found = module_fingerprint(model) if isinstance(model, nn.Module) else model.fingerprint
        if found != self.model_fingerprint:
            raise KeyMismatch("model", expected=self.model_fingerprint, found=found)


def check_secret(secret: bytes) -> None:
    """Raises InvalidArgument where a secret is not of 32 bytes."""
    if len(secret) != SECRET_BYTES:
        expected, found = f"{SECRET_BYTES} bytes", f"{len(secret)} bytes"
        raise InvalidArgument("secret", expected=expected, found=found)


def needed_canvas(canvas: Canvas | None) -> Canvas:
    """The canvas of a torch module. Raises InvalidArgument where none was given."""
    if canvas is None:
        raise InvalidArgument(
            "canvas", expected="a Canvas beside a torch module", found="none",
            remedy="give canvas=Canvas(...) or load the model with load_model",
        )  # fmt: skip
    return canvas


def build_key(
    model: nn.Module | Authorized,
    *,
    canvas: Canvas | None = None,
    energy: float | None = None,
    tau: float | None = None,
    cumulative: float | None = None,
    rank: int | None = None,
    layer: str | None = None,
    secret: bytes | None = None,
    private: bool | None = None,
) -> Key:
    """A key for `model`: a loaded model, or a torch module together with its canvas.

    At most one rule: energy (a share of the front's energy), tau (largest singular value),
    cumulative (sum of singular values: the paper's Definition 1) or rank (directions); see
    `default_rule`.
    layer: the front, where it should not be found; "none" makes a key for deep recoding alone, which
    leaves nothing unseen and asks nothing of a first layer. secret: 32 bytes, drawn from the operating
    system when not given. private: whether the model is a personalised copy; a loaded model knows,
    a torch module does not, and counts as none. Raises NoFront, EmptySubspace, InvalidArgument.
    """
    rule = one_rule(energy=energy, tau=tau, cumulative=cumulative, rank=rank)
    if isinstance(model, nn.Module):
        canvas = needed_canvas(canvas)
        front = find_front(model, canvas, layer=layer)
        name, modality = module_fingerprint(model), modality_read(canvas)
    else:
        canvas = model.canvas if canvas is None else canvas
        front, name, modality = model.front(layer), model.fingerprint, model.modality
    if front.blind and rule is not None:
        expected = "no rule beside it, as nothing is unseen"
        raise InvalidArgument("layer", expected=expected, found=f"{layer} and {rule}")
    chosen = default_rule(front) if rule is None else rule
    copied = is_private(model) if private is None else private
    return key_of(
        front, canvas=canvas, rule=chosen, secret=secret, model_fingerprint=name,
        modality=modality, private=copied,
    )  # fmt: skip


def _alike(estimate: Front, front: Front) -> bool:
    """Whether an estimated front is this one, to the accuracy of an estimate."""
    if estimate.weight.shape != front.weight.shape or estimate.stride != front.stride:
        return False
    apart = (estimate.weight - front.weight.to(estimate.weight)).norm()
    return float(apart) < _ESTIMATED * float(front.weight.norm())


def build_joint_key(
    models: Sequence[Authorized],
    *,
    join: Join = "stacked",
    energy: float | None = None,
    tau: float | None = None,
    cumulative: float | None = None,
    rank: int | None = None,
    secret: bytes | None = None,
) -> Key:
    """One key for several models on one canvas: what it recodes, all of them read (paper D.2).

    The models see the same window of the same picture, each in its own normalisation. Raises
    InvalidArgument where their canvases or geometries do not go together.
    """
    sizes = {(m.canvas.size, m.canvas.top, m.canvas.left, m.canvas.shape) for m in models}
    kinds = {model.modality for model in models}
    if len(models) < 2 or len(sizes) != 1 or len(kinds) != 1:
        raise InvalidArgument(
            "models", expected="two or more with one canvas and window", found=sorted(sizes)
        )
    rule = one_rule(energy=energy, tau=tau, cumulative=cumulative, rank=rank)
    fronts = [model.front() for model in models]
    members = tuple(front_fingerprint(f, m.canvas) for f, m in zip(fronts, models, strict=True))
    joined = joint_front(fronts, rule or DEFAULT_RULE, join=join)
    return key_of(
        joined, canvas=models[0].canvas, rule=rule or default_rule(joined), secret=secret,
        members=members, modality=kinds.pop(), private=any(map(is_private, models)),
    )  # fmt: skip


def one_rule(
    *,
    energy: float | None = None,
    tau: float | None = None,
    cumulative: float | None = None,
    rank: int | None = None,
) -> Rule | None:
    """The rule that was given, None where there is none. Raises InvalidArgument for two."""
    given = {"energy": energy, "tau": tau, "cumulative": cumulative, "rank": rank}
    rules = [Rule(kind=k, value=float(v)) for k, v in given.items() if v is not None]  # type: ignore[arg-type]
    if len(rules) > 1:
        names = " and ".join(rule.kind for rule in rules)
        raise InvalidArgument("rule", expected="one rule at most", found=names)
    return rules[0] if rules else None


def default_rule(front: Front) -> Rule:
    """Energy 5e-4 where a tile has more pixels than outputs, so that there is an exact null space;
    1e-3 for full-rank tiles, 1e-4 for overlapping convolutions; a sixth of a token's directions."""
    if front.blind:
        return Rule(kind="tau", value=0.0)
    if not front.tiled:
        return DEFAULT_RULE_CONV
    if front.tokenwise:
        return Rule(kind="rank", value=float(max(1, front.shape[-1] // TOKENS)))
    if front.outputs < front.weight[0].numel():
        return DEFAULT_RULE
    return DEFAULT_RULE_FULL_RANK


def front_fingerprint(front: Front, canvas: Canvas) -> str:
    """SHA-256, in hex, of a folded front and the place of its window on the canvas."""
    sizes = (canvas.size, canvas.top, canvas.left, canvas.shape)
    return hashlib.sha256(f"{front.fingerprint()} {sizes}".encode()).hexdigest()


def key_of(
    front: Front,
    *,
    canvas: Canvas,
    rule: Rule,
    secret: bytes | None = None,
    model_fingerprint: str = "",
    members: tuple[str, ...] = (),
    modality: str | None = None,
    private: bool = False,
) -> Key:
    """The key of a front that is known: read from a file, probed, or joined from several.

    modality: what the canvas says, unless given.
    """
    return Key(
        front=front,
        subspace=subspace_of(front, rule),
        canvas=canvas,
        rule=rule,
        secret=secrets.token_bytes(SECRET_BYTES) if secret is None else secret,
        model_fingerprint=model_fingerprint,
        members=members,
        modality=modality or modality_read(canvas),
        private=private,
    )


def subspace_of(front: Front, rule: Rule) -> Subspace:
    """The insensitive subspace of a front. Raises EmptySubspace."""
    return (tile_subspace if front.tiled else conv_subspace)(front, rule)
