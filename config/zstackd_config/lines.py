"""One line stays one, whatever is in it: file names may have line ends and control characters."""


def one_line(text: str) -> str:
    """Return a text with what cannot be printed in it written out, line ends too."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
