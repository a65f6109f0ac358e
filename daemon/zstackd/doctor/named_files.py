"""Files of others that the rig file names: the programs of hooks, the token of the API."""

import os
import shutil
from pathlib import Path

from zstackd.api.token import read_token
from zstackd.doctor.diagnosis import Diagnosis, failure, fine, warning
from zstackd_config.errors import InputError
from zstackd_config.rig import Rig


def named_files(rig: Rig) -> list[Diagnosis]:
    """Return what there is to say of the files that the rig file names, where it names any."""
    hooks = {"on_published": rig.service.on_published, "on_failed": rig.service.on_failed}
    lines = [_program(name, hook.command[0]) for name, hook in hooks.items() if hook is not None]
    return lines if rig.api.tcp is None else [*lines, _token(rig.api.tcp.token_file)]


def _program(name: str, program: str) -> Diagnosis:
    """Return whether the system would start the program of a hook."""
    if shutil.which(program) is not None:
        return fine(name, f"{program}: a program")
    named = f"service.{name}.command"
    if not os.path.dirname(program):  # noqa: PTH120 - Path drops a leading ./
        return failure(name, f"{program} is not there", f"install it, or correct {named}")
    if os.path.isfile(program):  # noqa: PTH113 - false, too, where nobody may look
        return failure(name, f"{program} is not executable", f"`chmod +x {program}`")
    return failure(name, f"{program} is no file", f"put a program there, or correct {named}")


def _token(path: Path) -> Diagnosis:
    try:
        read_token(path)
    except InputError as error:
        if isinstance(error.__cause__, PermissionError):
            return warning(
                "token", f"{path}: not readable by this user", "look as the user of the service"
            )
        return failure("token", str(error))
    return fine("token", f"{path}: holds a token")
