"""ClearBank's messages as the simulated bank reads and writes them."""

import sqlite3
import uuid
from decimal import Decimal
from typing import Any

import msgspec

encode = msgspec.json.Encoder(decimal_format="number").encode


class _Other(msgspec.Struct):
    identification: str


class _Identification(msgspec.Struct):
    other: _Other


class _CreditorAccount(msgspec.Struct):
    identification: _Identification


class _Reference(msgspec.Struct, frozen=True):
    reference: str = ""


class _Structured(msgspec.Struct, frozen=True, rename="camel"):
    creditor_reference_information: _Reference = _Reference()


class _Remittance(msgspec.Struct, frozen=True):
    structured: _Structured = _Structured()


class _Amount(msgspec.Struct, rename="camel"):
    currency: str
    instructed_amount: Decimal


class _PaymentIdentification(msgspec.Struct, rename="camel"):
    end_to_end_identification: str


class _Creditor(msgspec.Struct):
    name: str


class _Transfer(msgspec.Struct, rename="camel"):
    payment_identification: _PaymentIdentification
    amount: _Amount
    creditor: _Creditor
    creditor_account: _CreditorAccount
    remittance_information: _Remittance = _Remittance()


class _Instruction(msgspec.Struct, rename="camel"):
    debtor_account: _CreditorAccount
    credit_transfers: list[_Transfer]


class Payments(msgspec.Struct, rename="camel"):
    payment_instructions: list[_Instruction]


class _Identifier(msgspec.Struct, rename="camel"):
    bban: str
    external_identifier: str


class _VirtualAccount(msgspec.Struct, rename="camel"):
    owner_name: str
    account_identifier: _Identifier


class VirtualAccounts(msgspec.Struct, rename="camel"):
    virtual_accounts: list[_VirtualAccount]


def transaction(row: sqlite3.Row) -> dict[str, Any]:
    other = row["counterpart"]
    return {
        "amount": {"instructedAmount": Decimal(row["amount_pence"]).scaleb(-2), "currency": "GBP"},
        "counterpartAccount": {
            "identification": {
                "accountName": row["counterpart_name"],
                "sortCode": other[:6],
                "accountNumber": other[6:],
                "reference": row["reference"],
            }
        },
        "debitCreditCode": row["direction"],
        "endToEndIdentifier": row["end_to_end"],
        "transactionId": row["ref"],
        "transactionReference": row["reference"],
        "transactionTime": row["made_at"],
        "status": row["status"],
    }


def notice(row: sqlite3.Row, owner: str, *, is_return: bool = False) -> bytes:
    """TransactionSettled, version 6. Built once: a repeated delivery repeats the very bytes. What comes back
    carries the id that its payment went out under.
    """
    payload = {
        "TransactionId": row["ref"],
        "Status": "Settled",
        "Scheme": "FasterPayments",
        "EndToEndTransactionId": row["end_to_end"][:35],
        "Amount": Decimal(row["amount_pence"]).scaleb(-2),
        "TimestampSettled": row["made_at"],
        "TimestampCreated": row["made_at"],
        "CurrencyCode": "GBP",
        "DebitCreditCode": "Credit",
        "Reference": row["reference"],
        "IsReturn": is_return,
        "Account": _party(row["account"], owner, "CLRB"),
        "CounterpartAccount": _party(row["counterpart"], row["counterpart_name"], "MRCB"),
    }
    nonce = uuid.UUID(row["ref"]).int % 2**31
    return encode({"Type": "TransactionSettled", "Version": 6, "Payload": payload, "Nonce": nonce})


def _party(account: str, name: str, bank: str) -> dict[str, str]:
    return {"BBAN": bank + account, "OwnerName": name, "TransactionOwnerName": name, "InstitutionName": bank}
