"""What all tables share: column types, names of constraints, and the one rule for time."""

from typing import Annotated, Any

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

# SQLite numbers rows by itself only in a column declared INTEGER.
BigInt = BigInteger().with_variant(Integer, "sqlite")

Id = Annotated[int, mapped_column(BigInt, primary_key=True)]
Time = Annotated[int, mapped_column(BigInteger)]
"""Microseconds since 1970 in UTC, taken from the injected clock."""
Digest = Annotated[str, mapped_column(String(71))]
"""`sha256:` and 64 hexadecimal digits."""
Name = Annotated[str, mapped_column(String(200))]
Word = Annotated[str, mapped_column(String(40))]
Json = Annotated[str, mapped_column(Text)]
Body = Annotated[bytes, mapped_column(LargeBinary)]
"""Packed by `bodies.Bodies`: compressed, and encrypted where a key is set."""


class Base(DeclarativeBase):
    """The declarative base; constraint names are fixed so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def one_of(column: str, *values: str) -> str:
    """The text of a check constraint: `column` holds one of these words."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def refers_to(target: str, *, unique: bool | None = None, cascade: bool = False) -> MappedColumn[Any]:
    """A column that holds a row of another table; the row cannot be deleted, or takes this one with it (`cascade`)."""
    return mapped_column(BigInt, ForeignKey(target, ondelete="CASCADE" if cascade else "RESTRICT"), unique=unique)
