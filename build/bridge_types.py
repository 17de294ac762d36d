"""Writes web/src/lib/bridge.gen.ts from sungaze/desktop/contract.py.

python build/bridge_types.py [FILE]
"""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from sungaze.desktop import contract

TARGET: Final = Path(__file__).parents[1] / "web" / "src" / "lib" / "bridge.gen.ts"
_HEAD: Final = "/** Written by build/bridge_types.py from sungaze/desktop/contract.py; change that one. */\n"
_PLAIN: Final = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def typescript() -> str:
    """The types of the bridge for the page."""
    hints = {name: get_type_hints(getattr(contract.Desktop, name)) for name in contract.FUNCTIONS}
    shapes: dict[str, Any] = {}
    for hint in hints.values():
        shapes |= {shape.__name__: shape for shape in _shapes(hint["return"])}
    parts = [_HEAD]
    for name, shape in shapes.items():
        fields = "".join(f"  {field}: {_type(kind)};\n" for field, kind in get_type_hints(shape).items())
        parts.append(f"\n{_words(shape, '')}export interface {name} {{\n{fields}}}\n")
    parts.append(f"\n{_words(contract.Desktop, '')}export interface Desktop {{\n")
    for name, hint in hints.items():
        arguments = ", ".join(f"{argument}: {_type(kind)}" for argument, kind in hint.items() if argument != "return")
        function = getattr(contract.Desktop, name)
        parts.append(f"{_words(function, '  ')}  {name}: ({arguments}) => Promise<{_type(hint['return'])}>;\n")
    parts.append("}\n")
    return "".join(parts)


def _type(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_typeddict(kind):
        return str(kind.__name__)
    if get_origin(kind) is Literal:
        return " | ".join("true" if value is True else f"'{value}'" for value in get_args(kind))
    if get_origin(kind) in {Union, types.UnionType}:
        return " | ".join(_type(part) for part in get_args(kind))
    raise TypeError(f"{kind} has no counterpart in TypeScript here")


def _shapes(kind: Any) -> list[Any]:
    return [part for part in (get_args(kind) or (kind,)) if is_typeddict(part)]


def _words(thing: Any, indent: str) -> str:
    lines = inspect.getdoc(thing).splitlines() if inspect.getdoc(thing) else []
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}".rstrip() + "\n" for line in lines), f"{indent} */\n"])


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET).write_text(typescript(), encoding="utf-8")
