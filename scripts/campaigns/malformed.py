"""Malformed PDFs by kind and seed: invoices that were damaged, and files made to break whoever reads them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from datetime import date

from fpdf import FPDF
from fpdf.enums import AccessPermission

from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines

FIELDS = InvoiceFields("Northwind Retail plc", "Coppergate Joinery Ltd", "CG-2026-114", 1_000_000, date(2026, 7, 21))
VALID = draw(FIELDS, usual_lines(1_000_000), issued_on=date(2026, 5, 22))

Make = Callable[[random.Random], bytes]
KINDS: dict[str, Make] = {}
MEBIBYTE = 1024**2


def malformed(kind: str, seed: int) -> bytes:
    return KINDS[kind](random.Random(f"{kind}/{seed}"))


def _kind(make: Make) -> Make:
    KINDS[make.__name__.strip("_")] = make
    return make


def pdf_of(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A file of these objects, numbered from 1; the first is the catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
            + b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, len(out)))


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), entries, content)


def page_of(content: bytes, *, entries: bytes = b"", page: bytes = b"", catalogue: bytes = b"",
            more: list[bytes] | None = None) -> bytes:
    """One page with this content stream; `more` are objects from 6 on."""
    return pdf_of([
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalogue, b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>%s>>" % page,
        stream(content, entries), b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", *(more or [])])


def text_page(*lines: str, size: int = 10) -> bytes:
    shown = b"".join(b"1 0 0 1 20 %d Tm (%s) Tj " % (800 - 14 * at, line.encode("latin-1"))
                     for at, line in enumerate(lines))
    return page_of(b"BT /F1 %d Tf %sET" % (size, shown))


def deflated(chunk: bytes, size: int) -> bytes:
    """`chunk` over and over, `size` bytes in all."""
    compress = zlib.compressobj(9)
    block = chunk * max(1, MEBIBYTE // len(chunk))
    return b"".join(compress.compress(block) for _ in range(max(1, size // len(block)))) + compress.flush()


# ---------------------------------------------------------------- damaged invoices


@_kind
def truncated(chance: random.Random) -> bytes:
    return VALID[: chance.randrange(len(VALID))]


@_kind
def flipped(chance: random.Random) -> bytes:
    damaged = bytearray(VALID)
    for _ in range(chance.choice((1, 5, 50, 500))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


@_kind
def cut_out(chance: random.Random) -> bytes:
    start = chance.randrange(len(VALID))
    return VALID[:start] + VALID[start + chance.randrange(400) :]


@_kind
def doubled(chance: random.Random) -> bytes:
    start = chance.randrange(len(VALID))
    return VALID[:start] + VALID[start : start + chance.randrange(2_000)] * chance.randrange(2, 9) + VALID[start:]


@_kind
def other_numbers(chance: random.Random) -> bytes:
    """A few of the file's numbers, such as lengths, object numbers and offsets, are others."""
    parts = VALID.split(b" ")
    for at in chance.sample(range(len(parts)), 12):
        if parts[at].isascii() and parts[at].isdigit():
            another = parts[chance.randrange(len(parts))]
            parts[at] = chance.choice((b"0", b"-1", b"99999999999999999999", b"1e309", another))
    return b" ".join(parts)


@_kind
def empty(chance: random.Random) -> bytes:
    return chance.choice((b"", b"%PDF-", b"%PDF-1.7", b"%PDF-1.7\n%%EOF", b"%PDF-1.7\n" + chance.randbytes(5_000)))


@_kind
def wrong_length(chance: random.Random) -> bytes:
    length = b"/Length %d" % chance.choice((0, 1, 10**6, 2**31, 2**63, 10**30))
    start = VALID.index(b"/Length ")
    return VALID[:start] + length + VALID[VALID.index(b"\n", start) :]


# ---------------------------------------------------------------- loops


@_kind
def xref_loop(chance: random.Random) -> bytes:
    """The table before this one is this one."""
    made = text_page("INVOICE")
    at = made.rindex(b"xref\n0")
    return made.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % chance.choice((at, at + 1, 0, len(made))))


@_kind
def page_tree_loop(chance: random.Random) -> bytes:
    kids = b" ".join([b"2 0 R"] * chance.choice((1, 2, 50)))
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, 10**9)])


@_kind
def parent_loop(chance: random.Random) -> bytes:
    depth = chance.choice((1, 3, 2_000))
    inner = [b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (at + 1, at - 1) for at in range(3, 3 + depth)]
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1/Parent %d 0 R>>" % (2 + depth),
                   *inner, b"<</Type/Page/Parent %d 0 R/MediaBox 2 0 R>>" % (2 + depth)])


@_kind
def reference_loop(chance: random.Random) -> bytes:
    return page_of(b"BT ET", page=b"/Rotate 6 0 R/CropBox 7 0 R", more=[b"7 0 R", b"6 0 R"])


@_kind
def form_loop(chance: random.Random) -> bytes:
    """A drawing that draws itself, once or twice each time."""
    form = stream(b"/X Do " * chance.choice((1, 2)),
                  b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>")
    return page_of(b"/X Do", page=b"/Resources<</XObject<</X 6 0 R>>>>", more=[form])


@_kind
def annotation_loop(chance: random.Random) -> bytes:
    return page_of(b"", page=b"/Annots[6 0 R 6 0 R]", more=[b"<</Type/Annot/Subtype/Stamp/Parent 6 0 R/Kids[6 0 R]>>"])


# ---------------------------------------------------------------- depth and size


@_kind
def deep(chance: random.Random) -> bytes:
    """Arrays or dictionaries within each other, in the file or on the page."""
    depth = chance.choice((500, 5_000, 100_000))
    opened, closed = chance.choice(((b"[", b"]"), (b"<</A", b">>")))
    nested = opened * depth + closed * chance.choice((0, depth))
    return page_of(nested) if chance.random() < 0.5 else page_of(b"", page=b"/Nested " + nested)


@_kind
def brackets(chance: random.Random) -> bytes:
    return page_of(b"BT (" + b"(" * chance.choice((10**4, 10**6)) + b") Tj ET")


@_kind
def flate_bomb(chance: random.Random) -> bytes:
    chunk = chance.choice((b"0 0 m 9 9 l S\n", b"(a) Tj ", b" ", b"q ", b"BT /F1 9 Tf (word) Tj ET "))
    content = deflated(chunk, chance.choice((30, 100, 700)) * MEBIBYTE)
    return page_of(content, entries=b"/Filter/FlateDecode")


@_kind
def nested_flate_bomb(chance: random.Random) -> bytes:
    content = zlib.compress(deflated(b"0 0 m 9 9 l S\n", 700 * MEBIBYTE), 9)
    return page_of(content, entries=b"/Filter[/FlateDecode/FlateDecode]")


@_kind
def object_stream_bomb(chance: random.Random) -> bytes:
    numbers = deflated(b"9 0 ", chance.choice((5, 200)) * MEBIBYTE)
    return page_of(b"", page=b"/Rotate 9 0 R", more=[
        stream(numbers, b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode" % (10**6, chance.choice((0, 10, 10**9))))])


@_kind
def predictor_bomb(chance: random.Random) -> bytes:
    parameters = b"<</Predictor %d/Columns %d/Colors 32/BitsPerComponent 16>>" % (
        chance.choice((2, 12, 15)), chance.choice((1, 2**31, 10**18)))
    return page_of(zlib.compress(b"x" * 10_000), entries=b"/Filter/FlateDecode/DecodeParms" + parameters)


@_kind
def other_filters(chance: random.Random) -> bytes:
    name = chance.choice((b"LZWDecode", b"ASCII85Decode", b"ASCIIHexDecode", b"RunLengthDecode", b"CCITTFaxDecode",
                          b"JBIG2Decode", b"Crypt", b"Nonsense"))
    return page_of(chance.randbytes(200_000), entries=b"/Filter/" + name)


@_kind
def cross_reference_stream(chance: random.Random) -> bytes:
    body = stream(chance.randbytes(64), b"/Type/XRef/Size %d/W[%d %d %d]/Root 1 0 R/Index[0 %d]" % (
        10**9, chance.choice((1, 10**9)), 2, 1, chance.choice((4, 10**9))))
    return b"%PDF-1.7\n1 0 obj\n" + body + b"\nendobj\nstartxref\n9\n%%EOF"


@_kind
def many_pages(chance: random.Random) -> bytes:
    count = chance.choice((21, 5_000, 100_000))
    kids = b" ".join([b"3 0 R"] * count)
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
                   b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"])


@_kind
def odd_boxes(chance: random.Random) -> bytes:
    box = chance.choice((b"[0 0 1e38 1e38]", b"[nan 0 9 9]", b"[9 9 0 0]", b"[]", b"(box)", b"[0 0 -9 1e309]", b"null"))
    return page_of(b"BT /F1 1e30 Tf 1e38 0 0 1e-38 0 0 Tm (INVOICE) Tj ET", page=b"/MediaBox " + box)


# ---------------------------------------------------------------- text


@_kind
def long_number(chance: random.Random) -> bytes:
    """One line of digits, as once stood the platform still."""
    piece = chance.choice(("1,111,", "1", "1.1", "1-", "1/", "£1,", "(1", "- ", "Total ", "due ", "a", "1 "))
    return text_page("INVOICE", (piece * 60_000)[:60_000].replace("(", "\\("), size=1)


@_kind
def many_lines(chance: random.Random) -> bytes:
    line = chance.choice(("Total due £1.00", "Due date 21/07/2026", "Invoice no CG-1", "1 £1.00 £1.00", "To: A, B, C"))
    return text_page(*[line] * chance.choice((500, 8_000)))


@_kind
def too_much_text(chance: random.Random) -> bytes:
    return page_of(deflated(b"BT /F1 9 Tf (word word word) Tj ET ", 8 * MEBIBYTE), entries=b"/Filter/FlateDecode")


@_kind
def character_map(chance: random.Random) -> bytes:
    """A font whose map of characters comes from elsewhere, or is huge."""
    encoding = chance.choice((b"/../../../../../../etc/passwd", b"/Identity-H", b"/#2e#2e#2f#2e#2e#2fx", b"/GB-EUC-H"))
    to_unicode = deflated(b"<0000> <ffff> <0000>\n", 20 * MEBIBYTE)
    font = b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding%s/ToUnicode 7 0 R/DescendantFonts[8 0 R]>>" % encoding
    return page_of(b"BT /F2 9 Tf <00410042> Tj ET", page=b"/Resources<</Font<</F2 6 0 R>>>>", more=[
        font, stream(to_unicode, b"/Filter/FlateDecode"),
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(A)/Ordering(B)/Supplement 0>>"
        b"/W[0[%s]]>>" % (b"1 " * 100_000)])


# ---------------------------------------------------------------- active content, locks


@_kind
def script(chance: random.Random) -> bytes:
    return page_of(b"", catalogue=b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\); while\\(true\\){})>>"
                   b"/Names<</JavaScript<</Names[(a) 6 0 R]>>>>", more=[b"<</S/Launch/F(/bin/sh)>>"])


@_kind
def outside_reference(chance: random.Random) -> bytes:
    """Contents and annotations that lie in another file or on another machine."""
    where = chance.choice((b"(http://127.0.0.1:9/x)", b"(file:///etc/passwd)", b"(\\\\\\\\host\\\\share)"))
    return page_of(b"", entries=b"/F<</FS/URL/F%s>>/FFilter/FlateDecode" % where,
                   page=b"/Annots[<</Subtype/Link/A<</S/URI/URI%s>>>>]" % where)


@_kind
def encrypted(chance: random.Random) -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="o", user_password=chance.choice(("u", "secret")),  # noqa: S106
                       permissions=AccessPermission.none())
    return bytes(pdf.output())


@_kind
def broken_encryption(chance: random.Random) -> bytes:
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>",
                   b"<</Filter/Standard/V %d/R %d/O(x)/U(y)/P -1/Length %d>>" % (
                       chance.choice((1, 2, 4, 5, 99)), chance.choice((2, 3, 6, 99)), chance.choice((0, 40, 10**9)))],
                  b"/Encrypt 3 0 R/ID[(a)(b)]")
