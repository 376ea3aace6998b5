"""Images: how models of pictures are loaded, keyed, released for, scored and attacked."""

from collections.abc import Sequence

from catch11.canvas.frame import Canvas
from catch11.data.pictures import SUFFIXES
from catch11.errors import InvalidArgument, ModelRefused
from catch11.evaluation.tune import tuned_key
from catch11.evaluation.verify import verify
from catch11.keys.authorized import Authorized
from catch11.keys.features_file import probed_key
from catch11.keys.key import Key, build_joint_key, build_key
from catch11.modalities.frame import RULES, Action, Modality, Progress, Takes, options
from catch11.modalities.options import Folder
from catch11.models.frame import Model
from catch11.models.load import adapted


def load(spec: str, *, device: str = "cpu", allow_code: bool = False) -> Authorized:
    """A model of pictures, or whatever loaded model a function of the user's own returns."""
    model = adapted(spec, device=device, allow_code=allow_code)
    if isinstance(model, Authorized):
        return model
    raise ModelRefused(spec, f"the function returned {type(model).__name__}, no loaded model")


def picture_key(
    model: Model | Canvas,
    *,
    energy: float | None = None,
    tau: float | None = None,
    cumulative: float | None = None,
    rank: int | None = None,
    layer: str | None = None,
    probe: Folder | None = None,
    tune: Folder | None = None,
    also: Sequence[Model] = (),
    progress: Progress | None = None,
) -> Key:
    """The key of one model, or with `also` of several; see `build_key`, `build_joint_key`.

    probe: no weight is read: the front and the rule come from features, see `probed_key`; a canvas
    will then do. tune: pictures like those to be released, on which rule and strength are chosen, see
    `tuned_key`. Raises InvalidArgument.
    """
    rule = {"energy": energy, "tau": tau, "cumulative": cumulative, "rank": rank}
    for name, folder in (("probe", probe), ("tune", tune)):
        if folder is not None and (also or any(value is not None for value in rule.values())):
            raise InvalidArgument(name, expected="no rule and no --also beside it", found="one")
    if probe is not None and tune is not None:
        raise InvalidArgument("tune", expected="no --probe beside it", found="one")
    if probe is not None:
        if isinstance(model, Canvas):
            return probed_key(probe, model)
        return probed_key(probe, model.canvas, model=model, layer=layer)
    assert isinstance(model, Model)
    if tune is not None:
        if layer is not None:
            raise InvalidArgument("layer", expected="no --tune beside it", found=layer)
        return tuned_key(model, tune, progress=progress)
    if not also:
        return build_key(model, layer=layer, **rule)  # type: ignore[arg-type]
    if layer is not None:
        raise InvalidArgument("--layer", expected="no --also beside it", found=layer)
    return build_joint_key([model, *also], **rule)  # type: ignore[arg-type]


IMAGE = Modality(
    name="image",
    items="images",
    models="a model of pictures",
    sources="a folder of pictures",
    peak="1, the range of a pixel",
    suffixes=SUFFIXES,
    claims=lambda facts: False,
    load=load,
    reading=options("to columns"),
    key=Action(run=picture_key, takes=RULES | options("probe tune also")),
    verify=Action(
        run=verify,
        takes=options(
            "rivals source labels key copy keep tolerance ledger prompt max_drop max_rival limit batch seed engine workers address"
        ),
    ),
    attack=Takes(
        takes=options(
            "rivals model copy attacks source key public others labels learn records ledger "
            "limit training control seed question "
            "minutes quick engine workers address"
        ),
        needs={"rivals": "at least one model"},
    ),
)
