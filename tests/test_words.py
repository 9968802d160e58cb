"""The words of GLOSSARY.md: names use the field's terms, prose says "one row per claim"."""

import ast
import re
from pathlib import Path

import pytest

import tempo_lib

PACKAGE = Path(tempo_lib.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Parts of a name (between underscores, or humps of a class name) that the glossary replaces.
AVOIDED = {
    "asked": "question",
    "asking": "question",
    "told": "caption after verdict",
    "telling": "caption after verdict",
    "twin": "token-matched control",
    "twins": "token-matched control",
    "rival": "baseline",
    "rivals": "baseline",
    "spend": "allocation",
    "spent": "allocation",
    "spends": "allocation",
    "spending": "allocation",
    "commonest": "majority-class baseline",
    "card": "training summary",
    "cards": "training summary",
    "look": "series style",
    "looks": "series style",
    "wording": "prompt template",
    "wordings": "prompt template",
    "knockout": "ablation",
    "knocked": "ablation",
    "receipt": "done marker",
    "receipts": "done marker",
    "pulls": "attribution",
    "meagre": "low accuracy",
    "bases": "base models",
}
NAMES_THAT_STAY = {"CARD_FILE"}  # the file name card.json lies in every shipped checkpoint
# "a row a claim": the article for "per".
ARTICLE_FOR_PER = re.compile(
    r"\b(?:one|a|an|each|first|two) (row|line|mark|panel|file|record|column|entry|picture|segment|"
    r"question|token|frame|step|sample) an? (?!time\b|moment\b)[a-z]+",
    re.IGNORECASE,
)
PROSE = ("asked", "twin", "wording", "time tag", "commonest", "who wants", "knock-out", "rival")


def defined_names(tree):
    """Functions, classes, arguments and assigned names of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def parts(name):
    humps = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [part for part in humps.lower().split("_") if part]


def replaced(names):
    """Name -> term that the glossary has for one of its parts."""
    return {
        name: AVOIDED[part]
        for name in names - NAMES_THAT_STAY
        for part in parts(name)
        if part in AVOIDED
    }


def test_a_planted_name_is_found():
    assert replaced({"TwinRow", "row"}) == {"TwinRow": "token-matched control"}


def docstrings(tree):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [text for n in ast.walk(tree) if isinstance(n, kinds) if (text := ast.get_docstring(n))]


def test_a_name_is_cut_at_underscores_and_humps():
    assert parts("asked_ofTwins") == ["asked", "of", "twins"]
    assert parts("KVCache_2") == ["kvcache", "2"]


def test_the_article_for_per_is_seen():
    assert ARTICLE_FOR_PER.search("one row a claim, in order")
    assert not ARTICLE_FOR_PER.search("one row per claim; a row at a time")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_use_the_terms_of_the_field(path):
    found = replaced({*defined_names(ast.parse(path.read_text(encoding="utf-8"))), path.stem})
    assert not found, f"say instead: {found}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_use_the_terms_of_the_field(path):
    for text in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
        flat = " ".join(text.split())
        article = ARTICLE_FOR_PER.search(flat)
        assert article is None, f"'per' for the article: {article and article.group()}"
        quaint = [word for word in PROSE if re.search(rf"\b{word}s?\b", flat, re.IGNORECASE)]
        assert not quaint, f"{quaint} in: {flat[:200]}"


def test_every_term_that_replaces_a_word_stands_in_the_glossary():
    text = (PACKAGE.parent / "GLOSSARY.md").read_text(encoding="utf-8").lower()
    missing = sorted({term for term in AVOIDED.values() if term not in text})
    assert not missing
