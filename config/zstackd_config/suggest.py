"""Which keys and words could have been meant at a place of a document."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Tag

Choice = tuple[frozenset[str], type[BaseModel]]
"""A model of a union, and the words by which the union may name it."""


def near(word: Any, known: Iterable[str]) -> str | None:
    """Return the known word that is nearest, whatever its capitals; None where none is near."""
    lower = {each.lower(): each for each in known}
    written = str(word)[:_LONGEST_WORD].lower()
    close = difflib.get_close_matches(written, lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None


def nearest(word: Any, known: Iterable[str]) -> str:
    """Return `did you mean …?` where a known word is near, else what is known."""
    known = list(known)
    if not known:
        return "remove it"
    close = near(word, known)
    return f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"


_LONGEST_WORD = 60


def known_keys(models: Iterable[type[BaseModel]]) -> list[str]:
    """Return the keys of the models, in the order of the documentation."""
    fields = (item for model in models for item in model.model_fields.items())
    return list(dict.fromkeys(key for key, field in fields if not field.exclude))


def models_at(root: type[BaseModel], loc: Iterable[str | int]) -> list[type[BaseModel]]:
    """Return the models that may stand at pydantic's location of an error.

    Such a location names fields, indices, and which member of a union was tried.
    """
    choices: list[Choice] = [(frozenset(), root)]
    for part in loc:
        fields = [model.model_fields[part] for _, model in choices if part in model.model_fields]
        if fields:
            choices = [choice for field in fields for choice in choices_in(field.annotation)]
        elif isinstance(part, str):
            choices = [choice for choice in choices if part in choice[0]] or choices
    return list(dict.fromkeys(model for _, model in choices))


def choices_in(annotation: Any) -> Iterator[Choice]:
    """Yield every model within an annotation, with the words that choose it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield frozenset(_literals(annotation)), annotation
        return
    parts = get_args(annotation)
    if get_origin(annotation) is not Annotated:
        for part in parts:
            yield from choices_in(part)
        return
    tags = frozenset(part.tag for part in parts[1:] if isinstance(part, Tag))
    for words, model in choices_in(parts[0]):
        yield tags or words, model


def leaves(annotation: Any) -> Iterator[type]:
    """Yield the plain types that an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from leaves(part)


def _literals(model: type[BaseModel]) -> Iterator[str]:
    """Yield the words of keys that have just one, such as `driver: grbl`."""
    for field in model.model_fields.values():
        words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        if len(words) == 1:
            yield words[0]
