from datetime import date
from io import BytesIO

import msgspec
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission

from providers.documents import MAX_BYTES, Examination, InvoiceFields, bits_apart
from providers.documents.invoice_text import due_dates, fingerprint, money, says_name, says_reference
from providers.documents.pdf_text import PDFText
from providers.documents.sample import Line, draw, usual_lines
from providers.errors import Final, Retryable

ISSUED = date(2026, 5, 22)
FIELDS = InvoiceFields(
    "Northwind Retail plc", "Coppergate Joinery Ltd", "CG-2026-114", 1_000_000, date(2026, 7, 21)
)
VAT = 166_667
PDF = draw(FIELDS, usual_lines(1_000_000, VAT), issued_on=ISSUED, vat_pence=VAT)


@pytest.fixture(scope="module")
def documents() -> PDFText:
    return PDFText()


def verdicts(examination: Examination) -> list[str]:
    return [check.verdict for check in examination.checks]


def changed(**changes: object) -> InvoiceFields:
    return msgspec.structs.replace(FIELDS, **changes)


def test_a_good_invoice_passes(documents: PDFText):
    examination = documents.examine("k", PDF, FIELDS)
    assert [check.name for check in examination.checks] == [
        "fields_match",
        "lines_reconcile",
        "stamp_or_signature",
    ]
    assert verdicts(examination) == ["PASS", "PASS", "ABSENT_NOT_REQUIRED"]
    assert examination == documents.examine("another", PDF, FIELDS)


def test_the_sample_has_the_same_bytes_every_time():
    assert draw(FIELDS, usual_lines(1_000_000, VAT), issued_on=ISSUED, vat_pence=VAT) == PDF


def test_without_vat_it_passes_too(documents: PDFText):
    pdf = draw(FIELDS, usual_lines(1_000_000), issued_on=ISSUED)
    assert verdicts(documents.examine("k", pdf, FIELDS))[:2] == ["PASS", "PASS"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("buyer_name", "Southwind Retail plc", "buyer name"),
        ("seller_name", "Coppergate Holdings Ltd", "seller name"),
        ("seller_reference", "CG-2026-11", "invoice reference"),
        ("face_pence", 1_000_001, "face value"),
        ("due_on", date(2026, 7, 22), "due date"),
    ],
)
def test_what_does_not_match_is_named(documents: PDFText, field: str, value: object, named: str):
    check = documents.examine("k", PDF, changed(**{field: value})).checks[0]
    assert check.verdict == "FAIL"
    assert check.detail == f"The document does not say what you typed: {named}."


def test_lines_that_do_not_add_up_fail(documents: PDFText):
    pdf = draw(FIELDS, [Line("Counters", 2, 400_000), Line("Shelving", 1, 100_000)], issued_on=ISSUED)
    check = documents.examine("k", pdf, FIELDS).checks[1]
    assert check.verdict == "FAIL"
    assert "add up to £9,000.00, the total says £10,000.00" in check.detail


def test_an_invoice_without_lines_fails(documents: PDFText):
    assert verdicts(documents.examine("k", draw(FIELDS, [], issued_on=ISSUED), FIELDS))[1] == "FAIL"


def test_a_scan_has_no_text_and_needs_a_stamp(documents: PDFText):
    pdf = FPDF()
    pdf.add_page()
    pdf.rect(10, 10, 50, 50)
    assert verdicts(documents.examine("k", bytes(pdf.output()), FIELDS)) == ["FAIL", "FAIL", "FAIL"]


def test_a_stamp_is_seen(documents: PDFText):
    stamped = PDF.replace(
        b"/Type /Page\n", b"/Type /Page\n/Annots [<</Type /Annot /Subtype /Stamp /Rect [0 0 9 9]>>]\n"
    )
    assert stamped != PDF
    check = documents.examine("k", stamped, FIELDS).checks[2]
    assert (check.verdict, check.detail) == ("PASS", "The document carries a stamp.")


class TestHostileFiles:
    @pytest.mark.parametrize(
        "pdf", [b"", b"hello", b"PK\x03\x04", b"%PDF-1.7\ngarbage", PDF[:400], b"%PDF-1.7\n" + b"\x00" * 5000]
    )
    def test_a_malformed_file_is_final(self, documents: PDFText, pdf: bytes):
        with pytest.raises(Final, match="malformed"):
            documents.examine("k", pdf, FIELDS)

    def test_a_large_file_is_not_read(self, documents: PDFText):
        with pytest.raises(Final, match="too_large"):
            documents.examine("k", b"%PDF-" + b"0" * MAX_BYTES, FIELDS)

    def test_many_pages_are_refused(self, documents: PDFText):
        pdf = FPDF()
        for _ in range(21):
            pdf.add_page()
        with pytest.raises(Final, match="too_many_pages"):
            documents.examine("k", bytes(pdf.output()), FIELDS)

    def test_an_encrypted_file_is_refused(self, documents: PDFText):
        pdf = FPDF()
        pdf.add_page()
        pdf.set_encryption(owner_password="o", user_password="u", permissions=AccessPermission.none())
        with pytest.raises(Final, match="encrypted"):
            documents.examine("k", bytes(pdf.output()), FIELDS)

    def test_a_bomb_of_memory_hits_the_limit(self):
        with pytest.raises(Final, match="too_costly"):
            PDFText(memory_bytes=300 * 1024**2).examine("k", bomb(500 * 1024**2), FIELDS)

    def test_a_bomb_of_time_hits_the_limit(self):
        with pytest.raises(Final, match="too_costly"):
            PDFText(cpu_s=1).examine("k", bomb(30 * 1024**2), FIELDS)

    def test_a_machine_under_load_is_retryable(self):
        with pytest.raises(Retryable, match="timeout"):
            PDFText(timeout_s=0.01).examine("k", PDF, FIELDS)


def bomb(size: int) -> bytes:
    """A page whose compressed content grows to `size` bytes of drawing operators."""
    import zlib

    compress = zlib.compressobj(9)
    out = BytesIO()
    chunk = b"0 0 m 9 9 l S\n" * 74_900
    for _ in range(size // len(chunk)):
        out.write(compress.compress(chunk))
    out.write(compress.flush())
    stream = out.getvalue()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    pdf, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    xref = b"xref\n0 5\n0000000000 65535 f \n" + table
    return pdf + xref + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(pdf)


class TestText:
    @pytest.mark.parametrize(
        ("text", "name", "said"),
        [
            ("Bill to: NORTHWIND RETAIL PLC", "Northwind Retail plc", True),
            ("Northwind Retail Public Limited Company", "Northwind Retail plc", True),
            ("Coppergate Joinery Limited", "Coppergate Joinery Ltd", True),
            ("Halton and Crane LLP", "Halton & Crane LLP", True),
            ("Northwind Retailers plc", "Northwind Retail plc", False),
            ("Northwind", "Northwind Retail plc", False),
            ("anything", "", False),
        ],
    )
    def test_names(self, text: str, name: str, said: bool):
        assert says_name(text, name) is said

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("ref CG-2026-114.", True),
            ("cg 2026 114", True),
            ("CG2026114", True),
            ("CG-2026-1145", False),
            ("XCG-2026-114", False),
        ],
    )
    def test_references(self, text: str, said: bool):
        assert says_reference(text, "CG-2026-114") is said

    @pytest.mark.parametrize(
        "day", ["21 July 2026", "21st Jul 2026", "21/07/2026", "2026-07-21", "21-07-2026", "21.7.2026"]
    )
    def test_due_dates(self, day: str):
        assert due_dates(f"Invoice date: 22 May 2026\nDue date: {day}") == {date(2026, 7, 21)}

    def test_the_thirty_first_of_june_is_no_date(self):
        assert due_dates("due 31 June 2026") == set()

    def test_a_wrong_multiplication_is_quoted(self):
        read = money("Description Quantity Unit price Amount\nOak 2 £10.00 £25.00\nTotal due £25.00")
        assert read.wrong == ("Oak 2 £10.00 £25.00",)
        assert (read.items, read.total) == ((2500,), 2500)

    def test_a_small_edit_moves_few_bits(self):
        words = [f"word{number}" for number in range(120)]
        edited = [*words[:60], "tiny", *words[61:]]
        assert bits_apart(fingerprint(" ".join(words)), fingerprint(" ".join(edited))) <= 8
        assert bits_apart(fingerprint(" ".join(words)), fingerprint(" ".join(words[::-1]))) >= 16
