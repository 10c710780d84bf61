"""Questions to a folder of `tonne decode`, asked of DuckDB: registers are HUGEINT there, so that no sum wraps.

The view `records` has every record once (the meter's number decides; a record read twice is there once), the columns of
`hostlink.shards`, `meter`, `month`, and `wideN`: register N in 2**-64 units as HUGEINT, which holds up to 9.2e18 whole units and
fails loudly beyond. A sum of UHUGEINT would be a double.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hostlink.decoding import PROFILES
from hostlink.errors import UsageError
from hostlink.shards import check_schema
from hostlink.values import Amount, Register
from protocol import registers as codes
from protocol.image import Image
from protocol.records import TAG_SIZE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

RESTATEMENTS = "restatements"
"""Folder of correction records, in that of the shards."""


@dataclass(frozen=True)
class Question:
    """A ready question: what it answers, and its SQL over the views; `{n}` is a register's number."""

    about: str
    sql: str
    per_register: bool = False


QUESTIONS = {
    "totals": Question(
        "what each register gained, by meter and month: whole units, and the fraction in 2**-64 of one",
        """with ends as (
            select meter, month, max(sequence) as last, min(sequence) as first, count(*) as records
            from records where register{n}_whole is not null group by all),
        at_end as (
            select meter, month, records, profile, wide{n} as value, last from ends join records using (meter, month)
            where sequence = last),
        before as (
            select e.meter, e.month, max(r.sequence) as sequence from ends e join records r
            on r.meter = e.meter and r.sequence < e.first group by all),
        begun as (select b.meter, b.month, r.wide{n} as value from before b join records r using (meter, sequence))
        select a.meter, a.month, {n} as register, quantity, unit, a.records,
            ((a.value - coalesce(b.value, 0)) // 18446744073709551616)::hugeint as gained,
            ((a.value - coalesce(b.value, 0)) % 18446744073709551616)::hugeint as gained_fraction,
            (a.value // 18446744073709551616)::hugeint as register_at_end
        from at_end a left join begun b using (meter, month)
        left join registers g on g.profile = a.profile and g.register = {n} order by meter, month""",
        per_register=True,
    ),
    "gaps": Question(
        "records that are missing, by meter: first and last number, when, and how many",
        """select meter, sequence + 1 as first, following - 1 as last, following - sequence - 1 as records,
            ends as since, begins as until
        from (select meter, sequence, start + to_seconds(duration) as ends,
            lead(sequence) over w as following, lead(start) over w as begins
            from records window w as (partition by meter order by sequence))
        where following > sequence + 1 order by meter, first""",
    ),
    "monotonicity": Question(
        "registers and indices that go down, by meter: the record at which, and both values",
        """select meter, {n} as register, sequence, before, value from (
            select meter, sequence, wide{n} as value, lag(wide{n}) over (partition by meter order by sequence) as before
            from records where register{n}_whole is not null)
        where value < before order by meter, sequence""",
        per_register=True,
    ),
    "meters": Question(
        "each meter: how many records, from when to when, and the status flags that any of them has",
        """select meter, count(*) as records, min(start) as since, max(start) as until, bit_or(status) as status,
            count(distinct profile) as profiles from records group by meter order by meter""",
    ),
    "restated": Question(
        "corrections of `tonne restate`: old and new fingerprint, old and corrected totals, by meter and register",
        "select * from restatements order by meter, register",
    ),
}


def ask(folder: Path, question: str, memory: int = 1 << 30) -> "pa.Table":
    """The answer to a ready question, or to any SQL over the views. Raises UsageError, DataError."""
    connection = connect(folder, memory)
    import duckdb

    try:
        if question not in QUESTIONS:
            return connection.sql(question).to_arrow_table()
        ready = QUESTIONS[question]
        if not ready.per_register:
            return connection.sql(ready.sql).to_arrow_table()
        parts = " union all ".join(f"(select * from ({ready.sql.format(n=n)}))" for n in range(_registers(connection)))
        return connection.sql(parts).to_arrow_table()
    except duckdb.Error as error:
        raise UsageError(
            f"expected one of {', '.join(QUESTIONS)} or SQL: {str(error).strip().splitlines()[0]}"
        ) from None


def connect(folder: Path, memory: int = 1 << 30) -> "duckdb.DuckDBPyConnection":
    """A DuckDB connection with the views `records`, `registers` (names and units by profile) and `restatements` over `folder`.

    Raises UsageError, DataError.
    """
    import duckdb
    import pyarrow.parquet as pq

    files = sorted(folder.glob("meter=*/month=*/*.parquet"))
    if not files:
        raise UsageError(f"expected shards of `tonne decode` in {folder}, there is no meter=…/month=…/*.parquet")
    shapes = {path.stem.rpartition("-")[2]: path for path in files}
    registers = max(check_schema(pq.read_schema(path))[2] for path in shapes.values())
    connection = duckdb.connect(config={"memory_limit": f"{max(memory >> 20, 64)}MB"})
    wide = "".join(
        f", (register{n}_whole::hugeint * {1 << 64} + register{n}_fraction)::hugeint as wide{n}"
        for n in range(registers)
    )
    connection.execute(
        f"create view records as select * exclude (copy){wide} from (select *, row_number() over (partition by meter, sequence"
        f" order by link) as copy from read_parquet({_list(files)}, hive_partitioning = true, union_by_name = true,"
        " hive_types = {'meter': varchar, 'month': varchar})) where copy = 1"
    )
    connection.execute(f"create view registers as {_named(folder / PROFILES)}")
    corrections = sorted(folder.glob(f"{RESTATEMENTS}/*.json"))
    connection.execute(f"create view {RESTATEMENTS} as {_corrections(corrections)}")
    return connection


def _named(folder: Path) -> str:
    """What the registers of each profile are: by the tag that records carry, and the register's number."""
    rows = []
    for path in sorted(folder.glob("*.bin")):
        image = Image(path.read_bytes())
        for n, (quantity, direction, unit, exponent) in enumerate(image.registers):
            name = Register(n, quantity, direction, Amount(0, "")).name.replace("'", "''")
            tag = image.fingerprint[:TAG_SIZE].hex()
            rows.append(f"(unhex('{tag}'), {n}, '{name}', '1e{exponent} {codes.UNITS.get(unit, unit)}')")
    if not rows:
        rows = ["(null::blob, null::integer, null::varchar, null::varchar)"]
    return f"select * from (values {', '.join(rows)}) as named(profile, register, quantity, unit)"


def _corrections(files: list[Path]) -> str:
    if not files:
        return "select null::varchar as meter, null::integer as register, null::hugeint as correction where false"
    row = "struct(register integer, quantity varchar, unit varchar, old_gain varchar, new_gain varchar)[]"
    columns = "{meter: 'varchar', first: 'bigint', last: 'bigint', old_profile: 'varchar', new_profile: 'varchar', "
    return (
        "select * exclude (old_gain, new_gain), old_gain::hugeint as old_gain, new_gain::hugeint as new_gain,"
        " new_gain::hugeint - old_gain::hugeint as correction from"
        " (select * exclude (registers), unnest(registers, recursive := true)"
        f" from read_json({_list(files)}, columns = {columns}registers: '{row}'}}))"
    )


def _registers(connection: "duckdb.DuckDBPyConnection") -> int:
    names = connection.sql("select * from records limit 0").columns
    return sum(name.endswith("_whole") for name in names)


def _list(paths: Iterable[Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"
