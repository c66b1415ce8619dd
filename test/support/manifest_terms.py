#!/usr/bin/env python3
"""Prints the documents of a manifest as an Erlang term, for file:consult/1: manifest_terms.py FILE

The name of the file says its format: YAML, JSON, TOML, or HCL. The term is a list with one element for each document. Objects become
maps with binaries as keys, and texts become binaries. Of HCL, it reads what the job files of this repository use: attributes, blocks
and heredocs. A block of the type TYPE with labels becomes an element of the list under the key TYPE; its labels are under "labels".
"""

import json
import re
import sys
import textwrap

HCL_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|(?:\#|//)[^\n]*)
      | <<(?P<indented>-?)(?P<tag>\w+)\n(?P<heredoc>.*?\n)[ \t]*(?P=tag)(?=\n)
      | (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][\w.-]*)
      | (?P<sign>[{}\[\]=,]|\n)""",
    re.VERBOSE | re.DOTALL,
)


class Hcl:
    """Reads HCL2 by recursive descent. Raises SyntaxError with the rest of the text if it does not understand it."""

    def __init__(self, text):
        self.tokens = []
        at = 0
        while at < len(text):
            found = HCL_TOKEN.match(text, at)
            if not found:
                raise SyntaxError(text[at : at + 60])
            at = found.end()
            if found["tag"]:
                heredoc = found["heredoc"]
                self.tokens.append(("text", textwrap.dedent(heredoc) if found["indented"] else heredoc))
            elif found.lastgroup == "text":
                self.tokens.append(("text", json.loads(found["text"])))
            elif found.lastgroup != "skip":
                self.tokens.append((found.lastgroup, found.group()))
        self.tokens.append(("end", ""))

    def take(self, *expected):
        token = self.tokens.pop(0)
        if expected and token not in expected and token[0] not in expected:
            raise SyntaxError(f"{token[1]!r} instead of one of {expected!r}")
        return token

    def skip(self, *signs):
        while self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            self.tokens.pop(0)

    def body(self, end):
        content = {}
        self.skip("\n")
        while self.tokens[0] != end:
            key = self.take("word", "text")[1]
            if self.tokens[0] == ("sign", "="):
                self.take()
                if key in content:
                    raise SyntaxError(f"{key} is set twice")
                content[key] = self.value()
            else:
                labels = []
                while self.tokens[0][0] in ("text", "word"):
                    labels.append(self.take()[1])
                self.take(("sign", "{"))
                block = self.body(("sign", "}"))
                content.setdefault(key, []).append(dict(block, labels=labels))
            self.skip("\n", ",")
        self.take(end)
        return content

    def value(self):
        kind, text = self.take("text", "number", "word", ("sign", "["), ("sign", "{"))
        if kind == "text":
            return text
        if kind == "number":
            return json.loads(text)
        if kind == "word":
            return {"true": True, "false": False}.get(text, text)
        return self.body(("sign", "}")) if text == "{" else self.elements()

    def elements(self):
        found = []
        self.skip("\n")
        while self.tokens[0] != ("sign", "]"):
            found.append(self.value())
            self.skip("\n", ",")
        self.take()
        return found


def documents(path):
    if path.endswith((".yaml", ".yml")):
        import yaml

        with open(path, encoding="utf-8") as file:
            return list(yaml.safe_load_all(file))
    if path.endswith(".toml"):
        import tomllib

        with open(path, "rb") as file:
            return [tomllib.load(file)]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return [json.loads(text) if path.endswith(".json") else Hcl(text).body(("end", ""))]


def term(value):
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(term, value)) + "]"
    if isinstance(value, dict):
        return "#{" + ",".join(f"{term(key)}=>{term(value[key])}" for key in value) + "}"
    return "<<" + ",".join(map(str, str(value).encode())) + ">>"


print(term(documents(sys.argv[1])) + ".")
