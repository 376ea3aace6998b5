"""Data from outside: pictures, folders of them, labels."""

from catch11.data.folder import Folder, walk
from catch11.data.labels import Labels, folder_labels, read_labels
from catch11.data.pictures import fit_picture, open_picture

__all__ = [
    "Folder",
    "Labels",
    "fit_picture",
    "folder_labels",
    "open_picture",
    "read_labels",
    "walk",
]
