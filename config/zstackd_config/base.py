"""What every configuration model shares: frozen, and strict about unknown keys."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

STRICT: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(BaseModel):
    """A frozen section of a document; an unknown key is an error, not a guess."""

    model_config = STRICT


def _printable(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise ValueError("a name needs a visible character, and no line break or control code")
    return name


def _spelt_out(path: Path) -> Path:
    if path.parts and path.parts[0].startswith("~"):
        raise ValueError("only a shell knows whose home folder ~ is; write the whole path")
    return path


SettingsPath = Annotated[Path, AfterValidator(_spelt_out)]
Name = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]
