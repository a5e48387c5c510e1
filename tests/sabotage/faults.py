"""Make the mutants of a file: copies in which one function has one fault.

The operators are mutmut's, as far as tests can notice what they change, and those that it lacks: a
condition that never holds, one that is left out, a call that is not made. Only code in functions is
changed, because its mutants need no new start of the site.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

# What replaces what.
Fault = tuple[cst.CSTNode, cst.CSTNode]

TRUE, FALSE = cst.Name("True"), cst.Name("False")
# Neither is run by a call of the function.
SKIPPED = cst.Annotation | cst.Decorator | cst.Parameters


@dataclass(frozen=True)
class Mutant:
    """The fault that replaces the bytes ``start`` to ``end`` of a file with ``after``."""

    path: str
    # The outermost function around the fault, as Python names its code object: "Class.method".
    function: str
    # The text of that function, by which a result is remembered.
    source: str
    line: int
    start: int
    end: int
    # Where the fault is in the function.
    offset: int
    before: str
    after: str

    def __str__(self) -> str:
        texts = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.path}:{self.line} {self.function}: {' => '.join(texts)}"

    def text(self, root: Path) -> str:
        """Return the text of the file with the fault."""
        original = (root / self.path).read_bytes()
        return (original[: self.start] + self.after.encode() + original[self.end :]).decode()


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Return the mutants of the file ``path``, from the first line to the last."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    collector = _Collector(path, text.encode(), wrapper.module)
    wrapper.visit(collector)
    return list(dict.fromkeys(collector.found))


def _never(node: cst.If) -> Iterator[Fault]:
    yield node.test, FALSE


def _not_asked(node: cst.BooleanOperation) -> Iterator[Fault]:
    yield node, node.left
    yield node, node.right


def _not_filtered(node: cst.CompIf) -> Iterator[Fault]:
    yield node.test, TRUE


def _always_the_same(node: cst.Return) -> Iterator[Fault]:
    if isinstance(node.value, cst.Comparison | cst.BooleanOperation | cst.UnaryOperation):
        yield node.value, TRUE
        yield node.value, FALSE


def _not_called(node: cst.Expr) -> Iterator[Fault]:
    if isinstance(node.value, cst.Call) and not _logs(node.value):
        yield node, cst.Pass()


def _not_set(node: cst.Assign) -> Iterator[Fault]:
    if not isinstance(node.targets[0].target, cst.Name | cst.Tuple):
        yield node, cst.Pass()


def _not_done(node: cst.AugAssign | cst.Del) -> Iterator[Fault]:
    yield node, cst.Pass()


def _fewer_arguments(node: cst.Call) -> Iterator[Fault]:
    if len(node.args) > 1 and not _logs(node):
        for number, argument in enumerate(node.args):
            if not _is_for_people(argument.value):
                yield node, node.with_changes(args=[*node.args[:number], *node.args[number + 1 :]])


def _is_for_people(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.BaseString) and " " in getattr(node, "raw_value", " ")


def _logs(node: cst.Call) -> bool:
    function = node.func
    return isinstance(function, cst.Attribute) and getattr(function.value, "value", "") == "log"


def _of_mutmut(operator: Callable[[Any], Any]) -> Callable[[Any], Iterator[Fault]]:
    return lambda node: ((node, fault) for fault in operator(node))


OPERATORS: tuple[tuple[type, Callable[[Any], Iterator[Fault]]], ...] = (
    (cst.BaseNumber, _of_mutmut(mutators.operator_number)),
    (cst.Name, _of_mutmut(mutators.operator_name)),
    (cst.UnaryOperation, _of_mutmut(mutators.operator_remove_unary_ops)),
    (cst.CSTNode, _of_mutmut(mutators.operator_keywords)),
    (cst.CSTNode, _of_mutmut(mutators.operator_swap_op)),
    (cst.IfExp, _of_mutmut(mutators.operator_if_exp)),
    (cst.Call, _fewer_arguments),
    (cst.If, _never),
    (cst.BooleanOperation, _not_asked),
    (cst.CompIf, _not_filtered),
    (cst.Return, _always_the_same),
    (cst.Expr, _not_called),
    (cst.Assign, _not_set),
    (cst.AugAssign, _not_done),
    (cst.Del, _not_done),
)


class _Collector(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (ByteSpanPositionProvider, PositionProvider)

    def __init__(self, path: str, content: bytes, module: cst.Module) -> None:
        super().__init__()
        self.path, self.content, self.module = path, content, module
        self.found: list[Mutant] = []
        # The classes and functions around the node.
        self.around: list[cst.ClassDef | cst.FunctionDef] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, SKIPPED):
            return False
        if any(isinstance(outer, cst.FunctionDef) for outer in self.around):
            self.found += self._mutants(node)
        if isinstance(node, cst.ClassDef | cst.FunctionDef):
            self.around.append(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self.around and original_node is self.around[-1]:
            self.around.pop()

    def _mutants(self, node: cst.CSTNode) -> Iterator[Mutant]:
        first = next(n for n, o in enumerate(self.around) if isinstance(o, cst.FunctionDef))
        name = ".".join(outer.name.value for outer in self.around[: first + 1])
        begin, _end, source = self._bytes(self.around[first])
        for kind, operator in OPERATORS:
            for old, new in operator(node) if isinstance(node, kind) else ():
                start, end, before = self._bytes(old)
                after = self.module.code_for_node(new)
                line = self.get_metadata(PositionProvider, old).start.line
                yield Mutant(
                    self.path, name, source, line, start, end, start - begin, before, after
                )

    def _bytes(self, node: cst.CSTNode) -> tuple[int, int, str]:
        span: Any = self.get_metadata(ByteSpanPositionProvider, node)
        end = span.start + span.length
        return span.start, end, self.content[span.start : end].decode()
