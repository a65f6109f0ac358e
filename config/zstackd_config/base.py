"""What every configuration model shares: frozen, and strict about unknown keys."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen section of a document; an unknown key is an error, not a guess."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
