from datetime import date

import msgspec
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission

from domain.likeness import bits_apart
from providers.documents import MAX_BYTES, Examination, InvoiceFields
from providers.documents.dates import due_dates
from providers.documents.layout import plain_lines
from providers.documents.likeness import likeness
from providers.documents.money import money, wrong_sums
from providers.documents.parties import names
from providers.documents.pdf_text import PDFText
from providers.documents.references import is_reference, references
from providers.documents.sample import Line, draw, usual_lines
from providers.errors import Final

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
        "invoice_in_sterling",
        "lines_reconcile",
        "stamp_or_signature",
    ]
    assert verdicts(examination) == ["PASS", "PASS", "PASS", "ABSENT_NOT_REQUIRED"]
    assert examination == documents.examine("another", PDF, FIELDS)


def test_the_sample_has_the_same_bytes_every_time():
    assert draw(FIELDS, usual_lines(1_000_000, VAT), issued_on=ISSUED, vat_pence=VAT) == PDF


def test_without_vat_it_passes_too(documents: PDFText):
    pdf = draw(FIELDS, usual_lines(1_000_000), issued_on=ISSUED)
    assert verdicts(documents.examine("k", pdf, FIELDS))[:3] == ["PASS", "PASS", "PASS"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("buyer_name", "Southwind Retail plc", "buyer name"),
        ("seller_name", "Coppergate Holdings Ltd", "seller name"),
        ("seller_reference", "CG-2026-11", "invoice reference (we read CG-2026-114)"),
        ("face_pence", 1_000_001, "face value (we read £10,000.00)"),
        ("due_on", date(2026, 7, 22), "due date (we read 21 July 2026)"),
    ],
)
def test_what_does_not_match_is_named(documents: PDFText, field: str, value: object, named: str):
    check = documents.examine("k", PDF, changed(**{field: value})).checks[0]
    assert check.verdict == "FAIL"
    assert check.detail == f"The document does not say what you typed: {named}."


def test_lines_that_do_not_add_up_fail(documents: PDFText):
    pdf = draw(FIELDS, [Line("Counters", 2, 400_000), Line("Shelving", 1, 100_000)], issued_on=ISSUED)
    check = documents.examine("k", pdf, FIELDS).checks[2]
    assert check.verdict == "FAIL"
    assert "add up to £9,000.00, the total says £10,000.00" in check.detail


def test_an_invoice_without_lines_fails(documents: PDFText):
    assert verdicts(documents.examine("k", draw(FIELDS, [], issued_on=ISSUED), FIELDS))[2] == "FAIL"


def test_a_scan_has_no_text_and_needs_a_stamp(documents: PDFText):
    pdf = FPDF()
    pdf.add_page()
    pdf.rect(10, 10, 50, 50)
    assert verdicts(documents.examine("k", bytes(pdf.output()), FIELDS)) == ["FAIL", "FAIL", "FAIL", "FAIL"]


def test_a_stamp_is_seen(documents: PDFText):
    stamped = PDF.replace(
        b"/Type /Page\n", b"/Type /Page\n/Annots [<</Type /Annot /Subtype /Stamp /Rect [0 0 9 9]>>]\n"
    )
    assert stamped != PDF
    check = documents.examine("k", stamped, FIELDS).checks[3]
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


class TestText:
    @pytest.mark.parametrize(
        ("text", "name", "said"),
        [
            ("Bill to: NORTHWIND RETAIL PLC", "Northwind Retail plc", True),
            ("Northwind Retail Public Limited Company", "Northwind Retail plc", True),
            ("Northwind Retail\nPublic Limited Company", "Northwind Retail plc", True),
            ("Coppergate Joinery Limited", "Coppergate Joinery Ltd", True),
            ("Coppergate Joinery Limited, 4 Mill Lane, York", "Coppergate Joinery Ltd", True),
            ("Halton and Crane LLP", "Halton & Crane LLP", True),
            ("Halton, Crane & Sons LLP, Leeds", "Halton, Crane & Sons LLP", True),
            ("Coppergate Joinery Ltd", "Joinery Ltd", False),
            ("Joinery Ltd", "Coppergate Joinery Ltd", False),
            ("Northwind Retailers plc", "Northwind Retail plc", False),
            ("Northwind", "Northwind Retail plc", False),
            ("anything", "", False),
        ],
    )
    def test_names(self, text: str, name: str, said: bool):
        assert names(plain_lines(text), name) is said

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("Invoice ref CG-2026-114.", True),
            ("INVOICE CG 2026 114", True),
            ("Invoice number: CG2026114", True),
            ("Invoice number: CG-2026-1145", False),
            ("Invoice number: XCG-2026-114", False),
            ("Your ref: CG-2026-114", False),
            ("CG-2026-114", False),
        ],
    )
    def test_references(self, text: str, said: bool):
        assert is_reference("CG-2026-114", references(plain_lines(text))) is said

    @pytest.mark.parametrize(
        "day", ["21 July 2026", "21st Jul 2026", "21/07/2026", "2026-07-21", "21-07-2026", "21.7.2026", "21-Jul-26"]
    )
    def test_due_dates(self, day: str):
        assert due_dates(plain_lines(f"Invoice date: 22 May 2026\nDue date: {day}")) == {date(2026, 7, 21)}

    def test_the_thirty_first_of_june_is_no_date(self):
        assert due_dates(plain_lines("due 31 June 2026")) == set()

    def test_a_wrong_multiplication_is_quoted(self):
        read = money(plain_lines("Description Quantity Unit price Amount\nOak 2 £10.00 £25.00\nTotal due £25.00"))
        assert wrong_sums(read) == ["“Oak 2 £10.00 £25.00” does not multiply out"]
        assert read.due == 2500

    def test_a_small_edit_moves_few_bits(self):
        words = [f"word{number}" for number in range(120)]
        edited = [*words[:60], "tiny", *words[61:]]
        assert bits_apart(alike(words), alike(edited)) <= 8
        assert bits_apart(alike(words), alike(words[::-1])) >= 16


def alike(words: list[str]) -> str:
    return likeness(plain_lines(" ".join(words)))


def test_the_invoices_own_number_moves_no_bit_of_its_likeness() -> None:
    def drawn(number: str) -> str:
        return likeness(plain_lines(f"Invoice {number} to Northwind for doors, frames and fitting, 21 July"), number)

    assert {drawn(number) for number in ("CG-T0014", "CG-T0015", "CG-2026-9")} == {drawn("CG-1")}
