"""Reads the two expression languages of CloudWatch, metric math and alarm rules, into Python's AST.

Both are Python expressions after a change of spelling (`AND` is `and`, `^` is `**`), so Python's
own parser does the work. Nothing is ever evaluated by Python: whoever gets the tree walks it and
refuses every node that it does not know.
"""

import ast
import re

from infra.local.cloudwatch.errors import ValidationError

_TOKENS = re.compile(r"(?P<quoted>\"[^\"]*\"|'[^']*')|(?P<symbol>&&|\|\||\^|\b(?:AND|OR|NOT)\b)")
_SPELLING = {"&&": "and", "||": "or", "^": "**", "AND": "and", "OR": "or", "NOT": "not"}
# An alarm's name may stand without quotes, and would then be read as arithmetic: a-b.
_BARE_NAME = re.compile(r"\b(OK|ALARM|INSUFFICIENT_DATA)\s*\(\s*([^\"'()\s][^\"'()]*?)\s*\)")
_LONGEST = 10_240  # characters; the limit of AlarmRule
_DEEPEST = 200  # nodes; a + b + c is as deep as it has terms


def parse_math(text: str) -> ast.expr:
    """Raises ValidationError when it is not an expression."""
    return _parse(text)


def parse_rule(text: str) -> ast.expr:
    """Raises ValidationError when it is not an expression."""
    return _parse(_BARE_NAME.sub(r'\1("\2")', text))


def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ValidationError(f"The expression is longer than {_LONGEST} characters.")
    spelled = _TOKENS.sub(_respell, " ".join(text.split())).strip()
    try:
        tree = ast.parse(spelled, mode="eval").body
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        raise ValidationError(f"Error in expression '{text}': Syntax Error") from None
    if _depth(tree) > _DEEPEST:
        raise ValidationError(f"Error in expression '{text}': nested too deeply")
    return tree


def _depth(tree: ast.AST) -> int:
    """Without recursion: it guards the recursive walks against a full stack."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _respell(token: re.Match[str]) -> str:
    if token["quoted"]:
        return repr(token["quoted"][1:-1])  # so that a backslash stays a backslash
    return f" {_SPELLING[token['symbol']]} "


def call_of(node: ast.expr) -> tuple[str, list[ast.expr]] | None:
    """The name and arguments of a plain call, `NAME(a, b)`; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return node.func.id, node.args
    return None
