"""The forms of fields that requests share. No text carries control characters: databases and people stumble on them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=138, pattern=r"^[^\x00-\x1f\x7f]*$")]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
Prose = Annotated[str, msgspec.Meta(min_length=10, max_length=4_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s\x00-\x1f\x7f]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$", max_length=254)]
CompanyNumber = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{8}$")]
SortCode = Annotated[str, msgspec.Meta(pattern=r"^\d{2}-?\d{2}-?\d{2}$")]
AccountNumber = Annotated[str, msgspec.Meta(pattern=r"^\d{8}$")]
Pence = Annotated[int, msgspec.Meta(ge=0, le=10**13)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3_650)]
Index = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
