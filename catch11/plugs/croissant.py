"""A description of a release in Croissant 1.0 (mlcommons.org/croissant): JSON-LD that data catalogues read."""

from collections.abc import Mapping
from typing import Any

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_KINDS = {".csv": "text/csv", ".jsonl": "application/jsonlines", ".png": "image/png"}


def croissant(
    name: str,
    *,
    text: str,
    licence: str,
    url: str,
    files: Mapping[str, str],
    suffix: str,
    labelled: bool,
    named: bool,
    metadata: str,
) -> dict[str, Any]:
    """The description. files: names and SHA-256 of the lists that lie beside the pictures. suffix: of the pictures.
    labelled, named: whether `metadata` has labels, and names for them."""
    objects = [
        {
            "@type": "cr:FileObject", "@id": file, "name": file, "contentUrl": file,
            "encodingFormat": _KINDS[f".{file.rpartition('.')[2]}"], "sha256": sha256,
        }
        for file, sha256 in sorted(files.items())
    ]  # fmt: skip
    pictures = {
        "@type": "cr:FileSet", "@id": "pictures", "name": "pictures", "includes": f"**/*{suffix}",
        "encodingFormat": _KINDS[suffix],
    }  # fmt: skip
    fields = [_field("file_name", "sc:Text", metadata)]
    if labelled:
        fields.append(_field("label", "sc:Text" if named else "sc:Integer", metadata))
    facts = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": text,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licence,
        "citeAs": "Catch-Only-One: Non-Transferable Examples for Model-Specific Authorization",
        "distribution": [*objects, pictures],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "files", "name": "files", "field": fields},
        ],
    }
    return facts | ({"url": url} if url else {})


def _field(name: str, kind: str, metadata: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field", "@id": f"files/{name}", "name": name, "dataType": kind,
        "source": {"fileObject": {"@id": metadata}, "extract": {"column": name}},
    }  # fmt: skip
