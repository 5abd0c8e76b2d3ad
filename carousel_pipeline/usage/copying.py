"""Frames into and out of Postgres with COPY: several times faster than rows, and no second driver.

Moments are 64-bit microseconds since 1970 in a frame and `timestamptz` in a table: columns `*_at` and `deadline`.
"""

import io
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import psycopg

from carousel_pipeline.database import Row

Schema = Mapping[str, type[pl.DataType]]
_ROWS_AT_ONCE: Final = 100_000
_MOMENT: Final = "%Y-%m-%d %H:%M:%S%.6f+00"


def copy_in(connection: psycopg.Connection[Row], table: str, frame: pl.DataFrame) -> None:
    """Append `frame` to `table`, columns by name; null is null, a list of numbers is an array."""
    statement = f"copy {table} ({', '.join(frame.columns)}) from stdin (format csv)".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in frame.iter_slices(_ROWS_AT_ONCE):
            ready = part.with_columns(_as_postgres_writes(name, kind) for name, kind in part.schema.items())
            copy.write(ready.write_csv(include_header=False, datetime_format=_MOMENT).encode())


def copy_out(
    connection: psycopg.Connection[Row], select: bytes, schema: Schema, values: Mapping[str, Any]
) -> pl.DataFrame:
    """Return what `select` selects; columns are taken in order and named and typed as `schema` says."""
    text = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(b"copy (" + select + b") to stdout (format csv)", values) as copy:
        for block in copy:
            text.write(block)
    if text.tell() == 0:
        return pl.DataFrame(schema=schema)
    text.seek(0)
    return pl.read_csv(text, has_header=False, schema=dict(schema))


def _as_postgres_writes(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.Int64 and (name.endswith("_at") or name == "deadline"):
        return pl.from_epoch(column, time_unit="us")
    if kind == pl.List:
        return pl.concat_str(pl.lit("{"), column.cast(pl.List(pl.String)).list.join(","), pl.lit("}")).alias(name)
    return column
