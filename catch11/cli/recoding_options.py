"""The options that say how pictures are recoded."""

from typing import Annotated, Literal

import typer

_SPECTRAL, _DEEP = "Method spectral", "Method deep"

Method = Annotated[
    Literal["spectral", "deep", "scramble"],
    typer.Option(
        help="spectral hides noise in what the first layer does not see; deep finds a picture near "
        "noise that the whole model answers alike, slower and harder to undo; scramble is exact, for "
        "personalised copies alone, and soon undone from its files."
    ),
]
Psnr = Annotated[
    float,
    typer.Option(
        metavar="DB", help="Strength: lower is stronger; peak 1, as written. For deep, of a faint "
        "look.", rich_help_panel=_SPECTRAL,
    ),
]  # fmt: skip
Noise = Annotated[
    Literal["content", "gaussian", "sign", "structured"],
    typer.Option(help="The noise before it is projected.", rich_help_panel=_SPECTRAL),
]
Client = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Mixed into the noise, so that each client gets files of its own.",
    ),
]  # fmt: skip
Shared = Annotated[
    bool,
    typer.Option(
        "--shared", help="One noise for all files of a client, as in the paper: whoever holds two "
        "files can subtract them. Not with --noise content.", rich_help_panel=_SPECTRAL,
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Threads; the files do not depend on it. As many as processors "
        "for spectral, one for deep, which uses them all by itself.",
    ),
]  # fmt: skip
Format = Annotated[
    Literal["png8", "tensor", "wav16", "wav32"],
    typer.Option(
        help="png8 is read by every stock pipeline; tensor keeps more. Sounds: wav16, wav32 "
        "(floats) or tensor; wav16 unless given."
    ),
]
At = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="What is matched: logits, features, a module's name, or several with "
        "weights (features,layer3*0.5).", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Start = Annotated[
    str,
    typer.Option(
        metavar="noise|spectral|DIR", help="Where the search starts; DIR holds decoy pictures.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Steps = Annotated[int, typer.Option(metavar="N", min=1, rich_help_panel=_DEEP, help="At most.")]
Radius = Annotated[
    str,
    typer.Option(
        metavar="R|auto|least", help="Largest change of the start in any pixel, in 255ths: smaller is "
        "harder to learn from, larger survives more. least: by short steps, with --steps 160, which the "
        "changes named by --survive judge one by one; others read less of it.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Quiet = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Learn on the first N pictures what the search prints on its noise, "
        "and take it out of the noise: for more than some hundred files of a personalised copy.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Agree = Annotated[
    str,
    typer.Option(
        metavar="RULE", help="What of the answer must stay: top1, topk:K, kl<V or match<V.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Margin = Annotated[float, typer.Option(metavar="M", help="Logits to spare.", rich_help_panel=_DEEP)]
Look = Annotated[
    Literal["noise", "decoy", "faint"],
    typer.Option(
        help="What people see: noise, the decoy, or the source faintly.", rich_help_panel=_DEEP
    ),
]
Survive = Annotated[
    str,
    typer.Option(
        metavar="LIST", help="Changes after which the answer must still stand, for instance "
        "jpeg:75,resize:0.5,crop:0.9,blur:1.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also", metavar="MODEL", help="A further model that shall read the same files; repeatable.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against", metavar="MODEL", help="A model that shall not read them: it is led to a class "
        "that the key draws; repeatable.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(
        help="Of the search; bfloat16 is faster where the machine has it. What counts is judged in "
        "float32.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
_OTHER = "Text and tables"
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="The column to recode, of a CSV or TSV; again for a second one.",
        rich_help_panel=_OTHER,
    ),
]  # fmt: skip
Long = Annotated[
    Literal["truncate", "refuse"],
    typer.Option(
        help="What to do with documents the model has no room for.", rich_help_panel=_OTHER
    ),
]
Half = Annotated[
    bool,
    typer.Option("--half", help="Write text embeddings as float16.", rich_help_panel=_OTHER),
]
