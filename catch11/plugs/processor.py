"""RecodingImageProcessor: on the owner's side, an image processor of transformers that recodes before it prepares.

The licensee needs none of this: the stock processor in the same folder reads released files as it reads any.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.file import load_key
from catch11.plugs.transform import Recode
from catch11.recoding.choose import recoder_for

NAME = "catch11.json"
VERSION = 1
_OWN = frozenset(["processor", "key_file", "passphrase", "model", "copy"])


class RecodingImageProcessor:
    """Pictures in, what the authorized model reads of their released files out.

    processor: of transformers, which the model of the key came with. key_file: the key's; it is read and never
    copied. passphrase: of an encrypted one. model: the authorized one, for methods that ask it. options: those of
    `recoder_for`, numbers and words alone. Raises KeyFileError, InvalidArgument.
    """

    def __init__(
        self,
        processor: Any,
        key_file: str | os.PathLike[str],
        *,
        passphrase: str | None = None,
        model: Any = None,
        **options: Any,
    ) -> None:
        _check_options(options)
        key = load_key(key_file, passphrase=passphrase)
        self.processor, self.key_file, self.options = processor, Path(key_file), options
        self.fingerprint = key.fingerprint
        self._recode = Recode(recoder_for(key, model=model, **options))

    def __repr__(self) -> str:
        return (
            f"RecodingImageProcessor({type(self.processor).__name__}, key {self.fingerprint[:16]})"
        )

    def __call__(self, images: Any, **given: Any) -> Any:
        """What the processor makes of the recoded pictures. images: one or several of Pillow. given: as the
        processor takes it. Raises UnreadablePicture where one is withheld."""
        many = images if isinstance(images, list | tuple) else [images]
        for one in many:
            if not isinstance(one, Image.Image | Tensor):
                raise InvalidArgument(
                    "images", expected="one or several pictures of Pillow", found=type(one).__name__
                )
        return self.processor(images=[self._recode(one) for one in many], **given)

    preprocess = __call__

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the stock processor, and beside it which key and settings recode: the key's file and
        fingerprint, nothing that is in it."""
        self.processor.save_pretrained(folder)
        facts = {
            "version": VERSION, "key_file": str(self.key_file), "key": self.fingerprint,
            "options": self.options,
        }  # fmt: skip
        (Path(folder) / NAME).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")

    @classmethod
    def from_pretrained(
        cls,
        folder: str | os.PathLike[str],
        *,
        key_file: str | os.PathLike[str] | None = None,
        passphrase: str | None = None,
        model: Any = None,
    ) -> "RecodingImageProcessor":
        """What `save_pretrained` wrote. key_file: where the key lies now. Raises InvalidArgument for a
        folder without it, KeyFileError, KeyMismatch for another key."""
        from transformers import AutoImageProcessor

        path = Path(folder) / NAME
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            options, stated = dict(facts["options"]), str(facts["key"])
            named = str(facts["key_file"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            expected = f"a folder that save_pretrained wrote, with {NAME}"
            raise InvalidArgument("folder", expected=expected, found=str(folder)) from None
        if facts.get("version") != VERSION:
            raise InvalidArgument("version", expected=str(VERSION), found=facts.get("version"))
        _check_options(options)
        try:
            stock = AutoImageProcessor.from_pretrained(folder)
        except (OSError, ValueError) as error:
            expected = "a folder that save_pretrained wrote, with the stock processor"
            raise InvalidArgument(
                "folder", expected=expected, found=f"{folder} ({type(error).__name__})"
            ) from None
        made = cls(stock, key_file or named, passphrase=passphrase, model=model, **options)
        if made.fingerprint != stated:
            raise KeyMismatch("key", expected=stated, found=made.fingerprint)
        return made


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that no file can hold, and those that are said of the processor itself."""
    for name, value in options.items():
        if name in _OWN:
            raise InvalidArgument(
                "option", expected="one of the recoder's", found=name, remedy="give it beside them"
            )
        if not isinstance(value, str | int | float | bool | None):
            raise InvalidArgument(name, expected="a number or a word", found=type(value).__name__)
