"""A scene in which a question is asked that was not licensed, in place of the release's own classes."""

from dataclasses import replace

from jaxtyping import Int
from torch import Tensor

from catch11.attacks.frame import Material
from catch11.attacks.jury import ClassJury, QuestionJury
from catch11.data.windows import as_sources
from catch11.errors import InvalidArgument
from catch11.evaluation.questions import Question
from catch11.models.grouped import NO_OR_YES


def posed(
    question: Question,
    material: Material,
    jury: ClassJury,
    *,
    labels: Int[Tensor, " batch"] | None,
    names: tuple[str, ...],
) -> tuple[Material, QuestionJury]:
    """The same material and jury with two classes, no and yes.

    Of a super-class every rival answers by its own classes, and learns that. What a picture looks like
    no class says, so rivals have no say: only classifiers that attacks bring are judged. labels: of the
    judged items, indices of `names`. Raises InvalidArgument where labels, or originals, are missing.
    """
    lessons = None
    if question.look is None:
        if labels is None:
            raise InvalidArgument("labels", expected="them, to ask of super-classes", found="none")
        if material.labelled is not None:
            items, classes = material.labelled
            lessons = items, question.follows(classes, names).long()
        yes = question.follows(labels, names).long()
    else:
        if jury.clean is None:
            expected = "the originals, to ask what they look like"
            raise InvalidArgument("source", expected=expected, found="none")
        if material.pairs is not None:
            lessons = material.pairs[1], question.seen(material.pairs[0]).long()
        yes = question.seen(jury.clean).long()
    ask, canvas = question.look is None, material.canvas
    rivals = {n: question.asked(one, names) for n, one in material.rivals.items() if ask}
    judges = {n: question.asked(one, names) if ask else one for n, one in jury.rivals.items()}
    return replace(material, rivals=rivals, labelled=lessons, classes=NO_OR_YES), QuestionJury(
        rivals=judges, truth=dict.fromkeys(judges, yes), predict=jury.predict,
        released=jury.released, clean=jury.clean, compare=jury.compare,
        score=lambda rival, items: rival.logits(rival.preprocess(as_sources(items, canvas))),
    )  # fmt: skip
