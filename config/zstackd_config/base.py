"""What every configuration model shares: frozen, and strict about unknown keys."""

from typing import Final

from pydantic import BaseModel, ConfigDict

STRICT: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(BaseModel):
    """A frozen section of a document; an unknown key is an error, not a guess."""

    model_config = STRICT
