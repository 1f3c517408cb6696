"""A text taken apart: made plain, its `{a, b}` written out, words before flags. In linear time, whatever it holds."""

import re
import unicodedata

from bot import flags
from bot.errors import BadOption, BadPrompt

MAX_JOBS = 8
MOST_COUNTED = 1000  # texts: nobody needs to know how many thousands there are

_HIDDEN = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_PIECE = re.compile(r"\\.?|[{},]|[^\\{},]+", re.DOTALL)
_FLAG = re.compile(r"(?:^|(?<=\s))(?:(?:--|[—–])([^\W\d_][\w-]*)|-([sn])(?=[\s=]|$))=?")
_ESCAPE = re.compile(r"\\(--|[-\\{}(),—–])")


def clean(text: str) -> str:
    """`text` as it is stored and drawn: NFC, white space in single spaces, nothing that cannot be seen.

    Controls, bidi marks, zero-width and tag characters, variation selectors and lone surrogates are gone.
    """
    return " ".join(unicodedata.normalize("NFC", _HIDDEN.sub("", text)).split())


def expand(text: str) -> list[str]:
    """Every text that the `{a, b}` of `text` allow, first choices first; escapes stay as they are.

    Raises BadPrompt if a brace is not closed, or if there are more than `MAX_JOBS` texts; how many, or as many as
    were counted before it became too much.
    """
    pieces, groups = _PIECE.findall(text), [_Choices()]
    if pieces.count("{") > pieces.count("}"):
        raise BadPrompt("unclosed")
    for piece in pieces:
        if piece == "{":
            groups.append(_Choices())
        elif piece == "," and len(groups) > 1:
            groups[-1].next()
        elif piece == "}" and len(groups) > 1:
            inner = groups.pop()
            inner.close()
            groups[-1].branch(inner)
        else:
            groups[-1].add(piece)
    if len(groups) > 1:
        raise BadPrompt("unclosed")
    groups[0].close()
    if groups[0].count > MAX_JOBS:
        raise BadPrompt("too_many_jobs", limit=MAX_JOBS, amount=groups[0].count)
    return groups[0].texts


def taken_apart(text: str) -> tuple[str, dict[str, str]]:
    """The words before the flags, and the value of each flag."""
    words, *pieces = _FLAG.split(text)
    values: dict[str, str] = {}
    for long, short, value in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        flag = _flag((long or short).lower())
        if flag in values:
            raise BadOption(f"--{flag}", "is given twice", allowed="keep one of them")
        values[flag] = _unescaped(value.strip())
        if " " in values[flag] and flag not in flags.MANY_WORDS:
            raise BadOption(flags.written(flag, values[flag]), "has words after it", allowed="the prompt comes first")
    return _unescaped(words.strip()), values


def _flag(name: str) -> str:
    flag = flags.SHORT.get(name, name)
    if flag not in flags.FLAGS:
        raise flags.unknown(flag)
    return flag


def escaped(text: str) -> str:
    return _FLAG.sub(lambda match: "\\" + match[0], text.replace("\\", "\\\\").replace("{", "\\{"))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


class _Choices:
    """The alternatives of one `{…}`: how many there are, and the texts of the first `MAX_JOBS`."""

    __slots__ = ("_literal", "_open", "_open_count", "count", "texts")

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[str] = []
        self._open_count = 1
        self._open = [""]
        self._literal: list[str] = []

    def add(self, literal: str) -> None:
        self._literal.append(literal)

    def branch(self, inner: "_Choices") -> None:
        if inner.count == 1:
            return self._literal.append(inner.texts[0])
        self._settle()
        self._open = [text + choice for text in self._open for choice in inner.texts][:MAX_JOBS]
        self._open_count *= inner.count
        self._require_few()

    def next(self) -> None:
        """The alternative ends, and another begins."""
        self.close()
        self._open_count, self._open = 1, [""]

    def close(self) -> None:
        """The last alternative ends."""
        self._settle()
        self.texts = [*self.texts, *[text.strip() for text in self._open]][:MAX_JOBS]
        self.count += self._open_count
        self._open_count = 0
        self._require_few()

    def _settle(self) -> None:
        if self._literal:
            tail = "".join(self._literal)
            self._open = [text + tail for text in self._open]
            self._literal = []

    def _require_few(self) -> None:
        counted = self.count + self._open_count
        if counted > MOST_COUNTED:
            raise BadPrompt("too_many_jobs", limit=MAX_JOBS, amount=counted)
