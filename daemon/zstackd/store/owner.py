"""A state folder's own word: it tells what is ours where several services share an output folder.

Their runs may have the same id: it is made of the second and the name.
"""

import secrets
from pathlib import Path
from typing import Final

from zstackd.store.durable import storage_error, write_text

NAME: Final = "id"


def owner_of(state: Path) -> str:
    """Return the word, made up the first time and the same ever after; raises StorageError."""
    path = state / NAME
    try:
        known = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        known = ""
    except OSError as error:
        raise storage_error(error, path) from error
    if not known.isalnum():
        known = secrets.token_hex(4)
        write_text(path, f"{known}\n")
    return known
