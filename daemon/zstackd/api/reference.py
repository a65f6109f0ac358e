"""Writes the tables of docs/api.md and docs/manifest.md: `python -m zstackd.api.reference docs`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from zstackd.api.app import create_app
from zstackd.runs.manifest import Manifest

MARK: Final = "<!-- Made from here on by"
_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "keys and values",
}


def tables() -> Mapping[str, str]:
    """Return the part of each page that is made, by the page's file name."""
    nobody = cast("Any", None)  # asked for nothing: only the routes are looked at
    document = create_app(nobody, reload=nobody, messages=nobody, metrics=nobody).openapi()
    schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]
    manifest = _reached(Manifest.__name__, schemas)
    answers = [name for name in schemas if name not in manifest]
    requests = ["## Requests\n", *_requests(document["paths"]), "## Answers\n"]
    return {
        "api.md": "\n".join([*requests, *_tables(answers, schemas)]),
        "manifest.md": "\n".join(_tables(manifest, schemas)),
    }


def with_tables(page: str, made: str) -> str:
    """Return a page with what is made behind its mark; what stands before it is written by hand."""
    by_hand, mark, rest = page.partition(MARK)
    return f"{by_hand}{mark}{rest.splitlines()[0]}\n\n{made}"


def _requests(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| request | what it does | query |\n|---|---|---|"
    for path, operations in paths.items():
        for method, operation in operations.items():
            words = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
            query = " ".join(f"`{word['name']}`: {word['description']}" for word in words)
            said = " ".join(operation["description"].split())
            yield f"| {method.upper()} `{path}` | {said} | {query} |"
    yield ""


def _reached(name: str, schemas: Mapping[str, Any]) -> list[str]:
    """Return a schema and all that it refers to, each after what refers to it."""
    found = [name]
    for each in found:
        found += [other for other in _references(schemas[each]) if other not in found]
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema["$ref"])
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _tables(names: Iterable[str], schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in (name for name in names if "properties" in schemas[name]):
        schema = schemas[name]
        yield f"### {name}\n\n{' '.join(schema['description'].split())}\n"
        yield "| key | value | what it is |\n|---|---|---|"
        for key, field in schema["properties"].items():
            yield f"| `{key}` | {_value(field, schemas)} | {field.get('description', '')} |"
        yield ""


def _value(schema: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in words what may stand there."""
    if "$ref" in schema:
        name = _name(schema["$ref"])
        known = schemas[name]
        return f"[{name}](#{name.lower()})" if "properties" in known else _value(known, schemas)
    if "anyOf" in schema:
        return " or ".join(_value(each, schemas) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " · ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        each = schema.get("prefixItems") or [schema["items"]]
        return f"list of {' and '.join(dict.fromkeys(_value(one, schemas) for one in each))}"
    return _WORDS.get(schema.get("type", ""), "any")


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


if __name__ == "__main__":
    for name, made in tables().items():
        page = Path(sys.argv[1]) / name
        page.write_text(with_tables(page.read_text(encoding="utf-8"), made), encoding="utf-8")
