"""Finds where field paths lie in a JSON text, and refuses what RFC 8259 refuses.

Written for judging a loader, so it shares no idea with one: a recursive descent over regular expressions that
checks every character of the text and remembers the exact slice of each value that a path asks for.

A path is keys joined by dots, `[n]` for an array element and `['a.b']` for a key that holds a dot:
`user.address.city`, `items[0].sku`, `['a.b'].c`. Of duplicate keys the last wins, with everything below it.
"""

import json
import re

SPACE = r"[ \t\n\r]*"
STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
VALUE = rf"(?:({STRING})|({NUMBER})|(true|false)|(null)|(?=[{{\[]))"

# A member or element whose value is a scalar is one match, white space on both sides included; before an object or
# array the match ends at the bracket, and none of the four value groups took part.
MEMBER = re.compile(rf"{SPACE}({STRING}){SPACE}:{SPACE}{VALUE}{SPACE}").match
ELEMENT = re.compile(rf"{SPACE}(){VALUE}{SPACE}").match
EMPTY_OBJECT = re.compile(rf"{SPACE}\}}").match
EMPTY_ARRAY = re.compile(rf"{SPACE}\]").match
SPACES = re.compile(SPACE).match

# What a match's last group says about the value.
KINDS = {2: "string", 3: "number", 4: "boolean", 5: "null"}

PATH_STEP = re.compile(r"\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\.?([^.\[\]]+)")


class Malformed(Exception):
    """The text is not JSON; the message says where."""


class Slice:
    """One value as it stands in the text: `kind` is string, number, boolean, null, object or array."""

    __slots__ = ("kind", "text")

    def __init__(self, kind, text):
        self.kind = kind
        self.text = text

    def __repr__(self):
        return f"Slice({self.kind!r}, {self.text!r})"


class Node:
    """A place in the tree of wanted paths."""

    __slots__ = ("children", "leaves", "below")

    def __init__(self):
        self.children = {}  # str for a member, int for an element
        self.leaves = []  # numbers of the paths that end here
        self.below = []  # numbers of the paths that end here or deeper


def parse_path(path):
    """Splits a path into its steps: a str for a member, an int for an element."""
    steps, position = [], 0
    while position < len(path):
        match = PATH_STEP.match(path, position)
        if match is None or (position == 0 and path.startswith(".")):
            raise ValueError(f"field path {path!r} can't be read from position {position}")
        index, quoted, name = match.groups()
        if index is not None:
            steps.append(int(index))
        elif quoted is not None:
            steps.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            steps.append(name)
        position = match.end()
    if not steps:
        raise ValueError("a field path is empty")
    return steps


class Projection:
    """All wanted paths, found in one walk over a text."""

    def __init__(self, paths):
        self.count = len(paths)
        self.root = Node()
        for number, path in enumerate(paths):
            node = self.root
            node.below.append(number)
            for step in parse_path(path):
                node = node.children.setdefault(step, Node())
                node.below.append(number)
            node.leaves.append(number)

    def scan(self, text):
        """Returns the Slice of each path, None where it leads nowhere. Raises Malformed."""
        found = [None] * self.count
        match = ELEMENT(text, 0)
        if match is None:
            raise Malformed("no value at position 0")
        position = match.end()
        if match.lastindex == 1:
            position = SPACES(text, container(text, position, self.root, found)).end()
        if position != len(text):
            raise Malformed(f"something follows the value at position {position}")
        return found


def container(text, start, node, found):
    """Walks the object or array at `start` and returns the position behind it."""
    if text[start] == "{":
        item, empty, close = MEMBER, EMPTY_OBJECT, "}"
    else:
        item, empty, close = ELEMENT, EMPTY_ARRAY, "]"
    children = node.children if node is not None else None
    position, index = start + 1, 0
    match = empty(text, position)
    if match is not None:
        return match.end()
    while True:
        match = item(text, position)
        if match is None:
            raise Malformed(f"no {'member' if close == '}' else 'value'} at position {position}")
        child = None
        if children:
            step = unescape(match[1]) if close == "}" else index
            child = children.get(step)
            if child is not None:
                for number in child.below:
                    found[number] = None
        position = match.end()
        last = match.lastindex
        if last == 1:
            opened = position
            position = container(text, opened, child, found)
            if child is not None and child.leaves:
                kind = "object" if text[opened] == "{" else "array"
                value = Slice(kind, text[opened:position])
                for number in child.leaves:
                    found[number] = value
            position = SPACES(text, position).end()
        elif child is not None and child.leaves:
            value = Slice(KINDS[last], match[last])
            for number in child.leaves:
                found[number] = value
        follows = text[position : position + 1]
        if follows == ",":
            position += 1
            index += 1
        elif follows == close:
            return position + 1
        else:
            raise Malformed(f"neither a comma nor {close!r} at position {position}")


def unescape(literal):
    """The text that a JSON string literal, quotes included, stands for. May hold lone surrogates."""
    if "\\" not in literal:
        return literal[1:-1]
    return json.loads(literal)
