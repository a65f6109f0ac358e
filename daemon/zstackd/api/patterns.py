"""What texts of a request may be made of: for the schema as patterns, for people in words."""

from typing import Final

RUN_ID: Final = r"^[A-Za-z0-9_-]+$"
FILE_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"

IN_WORDS: Final = {
    RUN_ID: "no id of a run; write letters, digits, - and _, such as 20261128T101112Z_my-run",
    FILE_NAME: "no name of a result's file; write letters, digits, ., - and _, such as stack.png",
    PRINTABLE: "not one line of text; leave line ends and control characters out",
}
