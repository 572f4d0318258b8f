"""Options of commands are words of their own, which no line ends in."""

import re

from pygments.lexers.shell import BashLexer
from pygments.token import Name, Text

OPTION = re.compile(r"((?<![\w-])--?[a-zA-Z][\w-]*)")


class Commands(BashLexer):
    """Shell with options, such as `--out`."""

    def get_tokens_unprocessed(self, text, *args, **kwargs):
        for start, kind, value in super().get_tokens_unprocessed(text, *args, **kwargs):
            parts = OPTION.split(value) if kind in Text else [value]
            for place, part in enumerate(parts):
                if part:
                    yield start, Name.Attribute if place % 2 else kind, part
                start += len(part)


def setup(app):
    """Take it for blocks of `sh`."""
    app.add_lexer("sh", Commands)
    return {"parallel_read_safe": True}
