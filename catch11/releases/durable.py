"""Bytes that are on the disk when the call returns, and folders that know their files."""

import os
from pathlib import Path


def write_all(handle: int, data: bytes) -> None:
    """Write every byte and fsync; one write may take only some of them."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.fsync(handle)


def sync_file(path: Path) -> None:
    """Make a written file durable. Several files are best all written, then all synced: the first
    call then pays for most of the others."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # Windows does not open folders
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
