"""What the index holds of one entity, and how Tantivy cuts it up.

Each entity also has a card: one line in a column that is sorted by the order in which hits are shown, and that says
all a hit has to say (code, facets, names). So a page is read off one column, and the index stores no documents.
"""

from functools import lru_cache

import tantivy

from search import text
from search.cards import FACETS, LONGEST, SHOWN_FORMER_NAMES, Card, cleaned, rank
from search.documents import EntityDocument
from search.steps import code_starts

VERSION = 1
"""To be raised whenever fields or terms change: an index of another version counts as lost, and is built anew."""

SCHEMA = (
    tantivy.SchemaBuilder()
    .add_text_field("code", tokenizer_name="whitespace", index_option="basic")
    .add_text_field("name", tokenizer_name="whitespace", index_option="basic")
    .add_text_field("characters", tokenizer_name="two", index_option="basic")
    .add_text_field("skips", tokenizer_name="two", index_option="basic")
    .add_text_field("sounds", tokenizer_name="two", index_option="basic")
    .add_text_field("initials", tokenizer_name="four", index_option="basic")
    .add_text_field("start", tokenizer_name="start", index_option="basic")
    .add_text_field("address", tokenizer_name="two", index_option="basic")
    .add_text_field("is", tokenizer_name="whitespace", index_option="basic")
    .add_text_field("facets", tokenizer_name="column", index_option="basic", fast=True)
    .add_text_field("card", tokenizer_name="column", index_option="basic", fast=True)
    .build()
)


def register(index: tantivy.Index) -> None:
    """Teach an opened index how its fields are cut; to be done on every opening."""
    for name, tokenizer in (
        ("two", tantivy.Tokenizer.ngram(2, 2)),
        ("four", tantivy.Tokenizer.ngram(4, 4)),
        ("start", tantivy.Tokenizer.ngram(1, 3, prefix_only=True)),
    ):
        index.register_tokenizer(name, tantivy.TextAnalyzerBuilder(tokenizer).build())
    nothing = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.remove_long(1)).build()
    index.register_tokenizer("column", nothing)
    whole = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).build()
    index.register_fast_field_tokenizer("column", whole)


def card_line(document: EntityDocument, folded: list[str], facets: str) -> str:
    """Sorted by: what still exists, then the shorter name, then the code."""
    names = "\t".join(folded[: 1 + SHOWN_FORMER_NAMES])
    return f"{rank(document.status)}{min(len(document.name), LONGEST):02}{document.code}\t{facets}\t{names}"


def order_mark(line: str) -> str:
    """The term by which the hits that are shown first are picked out of millions."""
    return f"order:{line[:3]}"


def read_card(line: str) -> Card:
    head, facets, *names = line.split("\t")
    return Card(head[3:], facets, names)


def to_tantivy(document: EntityDocument) -> tantivy.Document:
    """One entity as the index takes it."""
    return assembled(fields(document))


def assembled(flat: list[str]) -> tantivy.Document:
    """The document of what `fields` made."""
    made = tantivy.Document()
    add = made.add_text
    for at in range(0, len(flat), 2):
        add(flat[at], flat[at + 1])
    return made


def fields(document: EntityDocument) -> list[str]:
    """One entity's fields and values in turn, a field as often as it has values. Pure: any process may make them."""
    code = document.code
    made = ["code", f"{code} {code[8:17]}" if len(code) == 18 else code]
    folded = []
    for name in (document.name, *document.former_names):
        forms = text.forms(name)
        folded.append(forms.folded)
        for field, values in zip(_FORMS, forms[1:], strict=True):
            for value in values:
                made += (field, value)
    made += ("name", " ".join(folded))
    if document.address:
        made += ("address", text.place_of_business(document.address))
    facets, marks = _classes(document.district, document.industry, document.type, document.status, document.lists)
    line = card_line(document, folded, facets)
    made += ("is", " ".join([marks, order_mark(line), *code_starts(code)]))
    made += ("facets", facets, "card", line)
    return made


_FORMS = text.Forms._fields[1:]


@lru_cache(maxsize=4096)
def _classes(district: str, industry: str, type_: str, status: str, lists: tuple[str, ...]) -> tuple[str, str]:
    """What hits are counted by, as one value (`310115|F|limited_company|active|abnormal_listing`), and what they are
    filtered by, as terms."""
    values = (district, industry, type_, status, ",".join(lists))
    marks = [
        mark(name, value)
        for name, value in zip(FACETS, (district, industry, type_, status, "any" if lists else ""), strict=True)
        if value
    ]
    marks += [mark("listed", name) for name in lists]
    return "|".join(map(cleaned, values)), " ".join(marks)


def mark(facet: str, value: str) -> str:
    """The term by which `facet`=`value` is filtered."""
    return f"{facet}:{cleaned(value)}"
