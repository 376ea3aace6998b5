"""The options that say how sources are recoded."""

from typing import Annotated, Literal

import typer

from catch11.cli.help import MORE
from catch11.kinds import methods

_SPECTRAL, _DEEP, _OTHER = "Method spectral", "Method deep", "Texts and tables"

Keep = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT", show_default="all; of the model's own answer with --method deep",
        help="What the files keep of what MODEL makes of the sources: answer (its first class), scores, "
        "features (what its last layer reads), layer:NAME, or all (what its first layer makes). Less "
        "tells its holder less.",
    ),
]  # fmt: skip
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="T", show_default="0.1 of features and layers, 0.01 nats of scores",
        help="How near what is kept must stay.",
    ),
]  # fmt: skip
Method = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(methods()),
        show_default="what --keep needs",
        rich_help_panel=MORE,
        help="Keeps all: spectral hides noise in what the first layer does not see. Keeps the rest: deep finds a picture "
        "near noise that the whole model answers alike, slower and harder to undo. scramble is exact, for "
        "personalised copies alone, and soon undone from its files.",
    ),
]
Psnr = Annotated[
    float | None,
    typer.Option(
        metavar="DB", show_default="of pictures by the key, 20 of sounds",
        help="Strength of the noise: lower is stronger. Of a faint look too.",
    ),
]  # fmt: skip
Survive = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", help="Deep: changes after which the answer must still stand, for instance "
        "jpeg:75,resize:0.5,crop:0.9,blur:1.",
    ),
]  # fmt: skip
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="The column or field of pictures, where a table or sample has several; texts: the "
        "column to recode, of a CSV or TSV, again for a second one.",
    ),
]
To = Annotated[
    Literal["folder", "zip", "tar", "webdataset", "parquet", "arrow", "datasets"] | None,
    typer.Option(
        show_default="by the suffix of DST, else as SRC", help="What DST is: files, shards, or a table "
        "whose other columns stay.", rich_help_panel=MORE,
    ),
]  # fmt: skip
Format = Annotated[
    str | None,
    typer.Option(
        metavar="[png8|tensor|wav16|wav32]",
        show_default="png8, wav16; tensor where no picture or sound holds it",
        help="Of the files. Stock pipelines read png8 and wav16; wav32 (floats) and tensor keep more.",
        rich_help_panel=MORE,
    ),
]
Client = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Mixed into the noise, so that each client gets files of its own.",
        rich_help_panel=MORE,
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, show_default="as many as processors for spectral, one for deep",
        help="Threads; the files do not depend on it.", rich_help_panel=MORE,
    ),
]  # fmt: skip
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(
        help="ray works in --workers processes of Ray, on this machine or on the cluster at --address; "
        "what comes of it is the same.", rich_help_panel=MORE,
    ),
]  # fmt: skip
Processes = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, show_default="as many as processors",
        help="Processes, with --engine ray.", rich_help_panel=MORE,
    ),
]  # fmt: skip
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="A Ray cluster that runs; every machine in it gets the key, or the models.",
        rich_help_panel=MORE,
    ),
]  # fmt: skip
Noise = Annotated[
    Literal["content", "gaussian", "sign", "structured"] | None,
    typer.Option(
        help="The noise before it is projected; content unless given, gaussian for sounds.",
        rich_help_panel=_SPECTRAL,
    ),
]
Shared = Annotated[
    bool,
    typer.Option(
        "--shared", help="One noise for all files of a client, as in the paper: whoever holds two "
        "files can subtract them. Not with --noise content.", rich_help_panel=_SPECTRAL,
    ),
]  # fmt: skip
At = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", show_default="logits", help="For experts, as --keep: what is matched: logits, features, a module's "
        "name, or several with weights (features,layer3*0.5).", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Start = Annotated[
    str | None,
    typer.Option(
        metavar="noise|spectral|DIR", show_default="noise",
        help="Where the search starts; DIR holds decoy pictures.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        show_default="60, 300 where more than the answer is kept, 100 for text",
        help="Of the search, at most.",
        rich_help_panel=_DEEP,
    ),
]
Radius = Annotated[
    str | None,
    typer.Option(
        metavar="R|auto|least", show_default="auto; 48 for sounds, 8 for text",
        help="Largest change of the start in any pixel or sample, in 255ths; in any cell, in standard "
        "deviations; of a word, as a share of its noise. Smaller is harder to learn from, larger "
        "survives more. least, of pictures: by short steps, with --steps 160, which the changes named "
        "by --survive judge one by one; others read less of it.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Agree = Annotated[
    str | None,
    typer.Option(
        metavar="RULE", show_default="top1; by the head for text",
        help="For experts, as --keep: what of the answer must stay: top1 and topk:K (answer), kl<V "
        "(scores), match<V (what --at names), cosine>V or score<V.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="M", show_default="0.5", help="Logits to spare.", rich_help_panel=_DEEP
    ),
]  # fmt: skip
Look = Annotated[
    Literal["noise", "decoy", "faint"] | None,
    typer.Option(
        show_default="noise", help="What people see: noise, the decoy, or the source faintly.",
        rich_help_panel=_DEEP,
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
Quiet = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Learn on the first N pictures what the search prints on its noise, "
        "and take it out of the noise: for more than some hundred files of a personalised copy.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    typer.Option(
        show_default="float32", help="Of the search; bfloat16 is faster where the machine has it. "
        "What counts is judged in float32.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Long = Annotated[
    Literal["truncate", "refuse"] | None,
    typer.Option(
        show_default="truncate", help="What to do with documents the model has no room for.",
        rich_help_panel=_OTHER,
    ),
]  # fmt: skip
Half = Annotated[
    bool,
    typer.Option("--half", help="Write text embeddings as float16.", rich_help_panel=_OTHER),
]
