"""Files as they land: hourly and daily gzip files of JSON lines, the same bytes for the same lines."""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from dawnlist.simulate.events import Landed
from dawnlist.simulate.lines import Writer
from dawnlist.simulate.world import HOUR_MS, Window

GZIP: Final = 31  # zlib's window bits of a gzip stream; its header then holds neither a time nor a name
COMPRESSION_LEVEL: Final = 1  # an event compresses to a tenth already; level 6 takes three times as long to halve that
FILE_LINES: Final = 50_000  # an hour with more has several files
BATCH_LINES: Final = 30_000  # lines that are made at once: bounds the memory
MARKER: Final = "_SUCCESS"

Progress = Callable[[str, int, int], None]  # called with what is made, how much of it there is, and how much there will be


@dataclass(frozen=True)
class _File:
    """Lines `start` to `stop` of the landed lines, and where they go."""

    path: Path
    start: int
    stop: int


def write_events(folder: Path, writer: Writer, landed: Landed, window: Window, progress: Progress) -> int:
    """Write every hour's files and markers below `folder`; return the number of files."""
    files = _plan(folder, landed, window)
    batches = list(_batches(files))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Arrow and zlib release the interpreter's lock
        try:
            done = 0
            for lines in pool.map(partial(_write_batch, writer), batches):
                done += lines
                progress("events", done, len(landed))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(files)


def _plan(folder: Path, landed: Landed, window: Window) -> list[_File]:
    """The files of all hours, in order. Makes the folders and markers; an hour without lines has only its marker."""
    first = window.start // HOUR_MS
    bounds = np.searchsorted(landed.hour, np.arange(first, first + 24 * window.days + 1))
    files = []
    for hour, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        place = folder / f"date={window.first + timedelta(days=hour // 24)}" / f"hour={hour % 24:02}"
        place.mkdir(parents=True)
        (place / MARKER).touch()
        starts = range(begin, end, FILE_LINES)
        files += [_File(place / f"events-{number:04}.jsonl.gz", start, min(start + FILE_LINES, end)) for number, start in enumerate(starts)]
    return files


def _batches(files: list[_File]) -> Iterator[list[_File]]:
    """Neighbouring files, together about BATCH_LINES lines."""
    batch: list[_File] = []
    for file in files:
        batch.append(file)
        if file.stop - batch[0].start >= BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_batch(writer: Writer, batch: list[_File]) -> int:
    start, stop = batch[0].start, batch[-1].stop
    lines = writer.lines(start, stop)
    _, offsets, data = lines.buffers()
    places = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    text = memoryview(data)
    for file in batch:
        file.path.write_bytes(compressed(text[places[file.start - start] : places[file.stop - start]]))
    return stop - start


def write_daily(folder: Path, window: Window, records: Callable[[int], Iterable[dict[str, Any]]]) -> int:
    """Write <folder>/<date>.jsonl.gz for each day, empty days too; return the number of records."""
    folder.mkdir()
    count = 0
    for day, name in enumerate(window.dates):
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records(day)]
        (folder / f"{name}.jsonl.gz").write_bytes(compressed("".join(lines).encode()))
        count += len(lines)
    return count


def compressed(text: bytes | memoryview) -> bytes:
    """A gzip file with this content."""
    return zlib.compress(text, COMPRESSION_LEVEL, wbits=GZIP)
