"""Verification of many meters: what is named is planned as jobs of whole meters, an engine runs them, their results merge.

A job names files, not bytes, and gives back a `Result` of a few kilobytes, so memory is bounded by jobs under way times their size.
`verify.verify_shard` and `run` are the same code on every engine: this process, a pool of processes, `dask.distributed`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hostlink import archive, extract, shards, statements, verify
from hostlink.capture import load as load_capture
from hostlink.decoding import DONE, PROFILES, inputs
from hostlink.errors import DataError, TonneError, UsageError
from hostlink.findings import NOTICE, Finding, Result
from hostlink.vouching import publics as keys_of
from hostlink.vouching import tail, vouch

PEEK = 1 << 18
EXPANSION = 8
"""Memory that the work on a job takes, as a multiple of its files: bytes, frames decoded, records, columns."""
SMALLEST_JOB = 4 << 20
"""Bytes of files below which a job is not split: some 150 ms of work, beside which handing it out costs nothing."""
JOBS_A_WORKER = 4
"""Jobs for each worker, at least, so that none is left with half the work."""


class File(NamedTuple):
    """A file to look at: its entry in an archive (path relative to `folder`), or only a path and no digest."""

    folder: Path
    entry: archive.Entry

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / self.entry.path

    @property
    def is_in_archive(self) -> bool:
        """Whether a manifest says what it must be."""
        return bool(self.entry.sha256)


@dataclass
class Job:
    """Files of whole meters, images and public keys known beforehand, and whether the chain is to be followed."""

    files: list[File] = field(default_factory=list)
    images: dict[bytes, bytes] = field(default_factory=dict)
    chain: bool = True
    size: int = 0
    publics: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Plan:
    """Jobs, and what was found while planning."""

    jobs: list[Job]
    result: Result


def plan(
    paths: Iterable[Path],
    profiles: Iterable[Path] = (),
    *,
    chain: bool = True,
    memory: int = 1 << 30,
    workers: int = 1,
    publics: Mapping[str, bytes] | None = None,
    smallest: int = SMALLEST_JOB,
) -> Plan:
    """Jobs over captures, folders of captures, decoded folders and archives. Raises UsageError, DataError.

    `publics` are public keys by serial number, from elsewhere; without them those in an archive are taken, and it is said.
    """
    images: dict[bytes, bytes] = {}
    for path in profiles:
        _add_image(images, path)
    result = Result()
    groups: dict[str, list[File]] = {}
    for path in paths:
        for group, file in _files(path, images, result):
            groups.setdefault(group, []).append(file)
    keys = dict(publics) if publics is not None else _keys_within(groups, result)
    sizes = {group: sum(f.path.stat().st_size for f in files if f.path.exists()) for group, files in groups.items()}
    share = sum(sizes.values()) // (JOBS_A_WORKER * workers) + 1 if workers > 1 else memory
    limit = max(min(memory // (EXPANSION * workers), share), smallest)
    jobs: list[Job] = []
    for group, files in groups.items():
        size = sizes[group]
        if not jobs or jobs[-1].size + size > limit:
            jobs.append(Job([], images, chain))
        jobs[-1].files += files
        jobs[-1].size += size
    for job in jobs:
        job.publics = _keys_for(job.files, keys)
    return Plan(jobs, result)


def run(job: Job) -> Result:
    """Look at the files of a job and verify the meters in them. Nothing of the job is raised: it becomes a finding."""
    result = Result()
    for shard in collect(job, result):
        result.merge(verify.verify_shard(shard, job.chain))
    return result


def collect(job: Job, result: Result) -> Iterator[verify.Shard]:
    """The meters in the files of a job; what is wrong with a file becomes a finding of `result`."""
    images = dict(job.images)
    pieces: dict[str, list[extract.Piece]] = {}
    said: dict[str, list[tuple[str, bytes]]] = {}
    serials: dict[str, str] = {}
    for file in job.files:
        result.files += 1
        if file.is_in_archive and (wrong := archive.check(file.folder, file.entry)):
            result.findings.append(Finding("file", file.entry.path, 0, 0, wrong))
        if file.entry.kind == archive.STATEMENT and file.path.is_file():
            name = extract.file_name(file.entry.meter)
            serials[name] = file.entry.meter
            _say(said, name, file.entry.path, file.path.read_bytes())
        signed: list[bytes] = []
        try:
            for piece in _read(file, images, signed, result):
                pieces.setdefault(piece.meter, []).append(piece)
            for data in signed:
                serial = statements.parse(data).serial
                name = extract.file_name(serial)
                serials[name] = serial
                _say(said, name, file.entry.path, data)
        except TonneError as error:
            if not _is_known_wrong(result, file):
                result.findings.append(Finding("file", file.entry.path, 0, 0, f"{file.entry.path}: {error}"))
    for meter, parts in sorted(pieces.items()):
        following = max(piece.following for piece in parts)
        rows = verify.join([(piece.shape, piece.rows) for piece in parts])
        serial = serials.get(meter, meter)
        vouched = vouch(meter, serial, said.get(meter, ()), job.publics.get(serial))
        held = max((int(part["sequence"].max()) + 1 for part in rows.values() if len(part)), default=0)
        result.statements += vouched.statements
        result.findings += vouched.findings + tail(meter, held, vouched.signed_below)
        yield verify.Shard(meter, rows, images, following, vouched.heads)
    for meter in sorted(said.keys() - pieces.keys()):
        vouched = vouch(meter, serials[meter], said[meter], job.publics.get(serials[meter]))
        result.statements += vouched.statements
        result.findings += vouched.findings + tail(meter, 0, vouched.signed_below)


def _say(said: dict[str, list[tuple[str, bytes]]], meter: str, path: str, statement: bytes) -> None:
    """A statement counts once, whether it is a file of its own, in a capture, or both."""
    held = said.setdefault(meter, [])
    if all(statement != known for _, known in held):
        held.append((path, statement))


def _keys_for(files: Sequence[File], keys: dict[str, bytes]) -> dict[str, bytes]:
    """The keys of the meters that an archive names for `files`: a job carries no key that it has no use for. Outside an archive
    nothing says yet whose a file is, so it is all of them."""
    if not all(file.is_in_archive for file in files):
        return keys
    return {file.entry.meter: keys[file.entry.meter] for file in files if file.entry.meter in keys}


def _keys_within(groups: Mapping[str, list[File]], result: Result) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in (file for files in groups.values() for file in files if file.entry.kind == archive.KEY):
        try:
            found.update(keys_of(file.path))
        except UsageError as error:
            result.findings.append(Finding("file", file.entry.path, 0, 0, str(error)))
        text = (
            "the public key came with the archive: whoever made the one could make the other; name yours with --public"
        )
        result.findings.append(Finding("statement", file.entry.path, 0, 0, text, NOTICE))
    return found


def _is_known_wrong(result: Result, file: File) -> bool:
    """Whether the file was found to be altered or missing."""
    return any(finding.meter == file.entry.path and finding.kind == "file" for finding in result.findings)


def _files(path: Path, images: dict[bytes, bytes], result: Result) -> Iterator[tuple[str, File]]:
    if archive.is_archive(path):
        found = archive.load(path)
        result.findings += found.findings
        for entry in found.entries:
            if entry.kind == archive.PROFILE and (path / entry.path).is_file():
                extract.add_image(images, (path / entry.path).read_bytes())
            yield f"{path}:{entry.meter or entry.path}", File(path, entry)
    elif path.is_dir() and ((path / DONE).is_dir() or any(path.glob("meter=*"))):
        for image in sorted((path / PROFILES).glob("*.bin")):
            _add_image(images, image)
        for shard in sorted(path.glob("meter=*/month=*/*.parquet")):
            yield str(shard.parents[1]), File(shard.parent, archive.Entry(shard.name, archive.CAPTURE))
    else:
        for each in inputs([path]):
            if each.suffix == ".parquet":
                yield str(each.parent), File(each.parent, archive.Entry(each.name, archive.CAPTURE))
            elif not _is_image(each, images):
                yield f"meter {_peek(each)}", File(each.parent, archive.Entry(each.name, archive.CAPTURE))


def _read(file: File, images: dict[bytes, bytes], signed: list[bytes], result: Result) -> Iterator[extract.Piece]:
    if file.entry.kind != archive.CAPTURE:
        return
    if file.path.suffix == ".parquet":
        yield _read_shard(file.path)
        return
    source = extract.Extract(load_capture(file.path))
    images.update(source.images)
    signed += source.statements
    result.frames += source.frames
    result.refused.update(refused.reason for refused in source.refused)
    expected = file.entry.meter
    for other in source.meters:
        if expected and other != extract.file_name(expected):
            text = f"{file.entry.path} is the archive's {expected}, the meter in it says it is {other}"
            result.findings.append(Finding("meter", expected, 0, 0, text))
    yield from source.pieces()


def _read_shard(path: Path) -> extract.Piece:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"expected Parquet: {error}") from None
    shape, rows = shards.records(table)
    return extract.Piece(shards.meter(table.schema), shape, rows, 0)


def _add_image(images: dict[bytes, bytes], path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"expected a profile image in {path}: {error.strerror or error}") from None
    if extract.add_image(images, data) is None:
        raise UsageError(f"expected a profile image in {path}, it is none; compile it with `tonne profile compile`")


def _is_image(path: Path, images: dict[bytes, bytes]) -> bool:
    return path.suffix == ".bin" and extract.add_image(images, path.read_bytes()) is not None


def _peek(path: Path) -> str:
    """The meter that a capture begins with, or the path: captures of one meter belong into one job."""
    from hostlink import capture

    with path.open("rb") as file:
        begin = file.read(PEEK)
    try:
        meters = extract.Extract(capture.parse(begin, path.name)).meters
    except DataError:
        return str(path)
    return meters[0] if meters else str(path)
