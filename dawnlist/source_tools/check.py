"""A source's YAML against the files that it is for: every mistake by its line, what is worth a look, and a sample of what comes out."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from pydantic import ValidationError

from dawnlist import duck, mapping, problems, reading, remote, sources, yaml_lines
from dawnlist.errors import EncodingError, LandingError
from dawnlist.files import make_folder
from dawnlist.landing import PERIODS, LandedFile, landing_of
from dawnlist.settings import Settings
from dawnlist.source_tools.files import spread
from dawnlist.source_tools.sample import Sample, take
from dawnlist.sources import IGNORE, Input, InputSpec, Source
from dawnlist.yaml_lines import Document, Mistake, Place, did_you_mean

SAMPLE_RECORDS = 1000
MAX_REPAIRS = 5
PATHS_LIKENESS = 0.85  # paths share their beginnings
FIELDS = {"row": "format", "event_type": "event_type"}  # of a problem: where its mistake stands, when it is no column


@dataclass
class Report:
    """All that a check found. `mistakes` make the source unusable, `notes` are worth a look; `others` are files that no input takes."""

    document: Document
    landing: Path | str | None
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[Mistake] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def wrong(self, place: Place, message: str) -> None:
        self.mistakes.append(self.document.mistake(place, message))

    def note(self, place: Place, message: str) -> None:
        self.notes.append(self.document.mistake(place, message))


def check(settings: Settings, path: Path, landing: Path | None = None, *, n_records: int = SAMPLE_RECORDS) -> Report:
    """Check the YAML file `path` against the files below `landing` (default: the folder or URL that the source's files land in, where there is
    one). Of a URL some files of each input are copied to a private folder, which is gone afterwards.

    Raises SourceError for a file that is no YAML, LandingError for a `landing` that is no folder, LandingStoreError for a URL that cannot be
    read, UnreadableFileError for a broken file.
    """
    if landing is not None and not landing.is_dir():
        raise LandingError(f"The landing folder {landing} does not exist. Name another one with --landing.")
    document = yaml_lines.read(path)
    report = Report(document, None, sources.mistakes(document))
    place = landing or landing_of(settings, path.stem)
    with ExitStack() as stack:
        if isinstance(place, Path):
            folder = place.absolute() if place.is_dir() else None
        else:
            specs = _sound_inputs(document, report.mistakes).values()
            folder = stack.enter_context(_copied(settings, place, [spec.path for spec in specs]))
        if folder:
            report.landing = place if isinstance(place, str) else folder
        _check(settings, report, path.stem, folder, n_records)
    return report


@contextmanager
def _copied(settings: Settings, url: str, patterns: Iterable[str]) -> Iterator[Path]:
    """A folder with some of the files behind `url` that match each of the glob `patterns`, under their names."""
    make_folder(settings.scratch_dir)
    with TemporaryDirectory(prefix="check-", dir=settings.scratch_dir) as place:
        folder = Path(place)
        for pattern in patterns:
            files = remote.matching(url, pattern)
            for name in spread(list(files)):
                target = folder / name
                if not target.resolve().is_relative_to(folder.resolve()):
                    raise LandingError(f"{url} has a file that leads out of its folder: {name}. Take it away.")
                target.parent.mkdir(parents=True, exist_ok=True)
                remote.copy(files[name], target)
        yield folder


def _check(settings: Settings, report: Report, name: str, folder: Path | None, n_records: int) -> None:
    document = report.document
    inputs = _sound_inputs(document, report.mistakes)
    is_sound = not report.mistakes
    for kind, spec in inputs.items():
        _check_people(report, kind, spec)
    if folder is None:
        return
    matched = {kind: _match(report, kind, spec, folder) for kind, spec in inputs.items()}
    _find_others(report, folder, matched)
    for kind, spec in inputs.items():
        with reading.readable(matched[kind]):
            _check_headers(report, kind, spec, matched[kind])
    if is_sound and not report.mistakes:
        _sample(settings, report, Source.model_validate({"name": name} | document.content), matched, n_records)


def _sound_inputs(document: Document, mistakes: Sequence[Mistake]) -> dict[Input, InputSpec]:
    """The inputs without what is wrong in them, so that one mistake does not hide the next."""
    inputs = document.without(mistakes).get("inputs")
    raw = {kind: inputs.get(kind) for kind in get_args(Input)} if isinstance(inputs, dict) else {}
    return {kind: spec for kind, content in raw.items() if isinstance(content, dict) and (spec := _sound_input(content))}


def _sound_input(content: dict[str, Any]) -> InputSpec | None:
    rules = content.get("event_type")
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict):
            rule.setdefault("type", IGNORE)  # a rule stays in its place, so that the places of the others hold
    for _ in range(MAX_REPAIRS):
        try:
            return InputSpec.model_validate(content)
        except ValidationError as error:
            for problem in error.errors():
                yaml_lines.remove(content, problem["loc"][:-1] if problem["type"] == "missing" else problem["loc"])
    return None


def _check_people(report: Report, kind: Input, spec: InputSpec) -> None:
    """Raw ids of people must not get into the lake through another column."""
    people = {origin for name in mapping.PEOPLE if name in spec.columns for origin in spec.columns[name].origins}
    others = {("columns", name): set(column.origins) for name, column in spec.columns.items() if name not in mapping.PEOPLE}
    others |= {("properties", name): {kept.column} for name, kept in spec.properties.items()}
    for (part, name), origins in others.items():
        place: Place = ("inputs", kind, part, name)
        if people & origins:
            report.wrong(place, "reads the raw id of a person, which must not enter the lake")


def _match(report: Report, kind: Input, spec: InputSpec, folder: Path) -> list[LandedFile]:
    """The files of an input, sorted by name, with what their names say."""
    place: Place = ("inputs", kind)
    files = [_landed(spec, kind, folder, name) for name in sorted(str(path.relative_to(folder)) for path in folder.glob(spec.path) if path.is_file())]
    if not files:
        (report.wrong if kind == "events" else report.note)((*place, "path"), f"matches no file below {report.landing}")
    timeless = [file.name for file in files if file.file_time is None]
    if timeless and (spec.file_time or spec.file_index):
        found = report.wrong if len(timeless) == len(files) else report.note
        found((*place, "file_time" if spec.file_time else "file_index"), f"says no time of {len(timeless):,} of {len(files):,} files, such as {timeless[0]}")
    return files


def _landed(spec: InputSpec, kind: Input, folder: Path, name: str) -> LandedFile:
    try:
        begin = spec.time_of(name)
    except ValueError:  # digits that are no date
        begin = None
    return LandedFile(kind, name, folder / name, file_time=begin, file_end=begin and begin + PERIODS[spec.period])


def _find_others(report: Report, folder: Path, matched: dict[Input, list[LandedFile]]) -> None:
    taken = {file.name for files in matched.values() for file in files}
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.name.startswith(("_", ".")))
    report.others = [name for name in names if name not in taken]


def _check_headers(report: Report, kind: Input, spec: InputSpec, files: Sequence[LandedFile]) -> None:
    """Columns that a CSV or Parquet file lacks: of up to ten files the first one that lacks each."""
    if spec.format == "jsonl":
        return
    wanted = _origins(report.document, kind, spec)
    chosen = set(spread([file.path for file in files]))
    for file in (file for file in files if file.path in chosen):
        header = _header(report, kind, spec, file)
        if not header:
            continue
        missing = [(place, origins) for place, origins, is_optional in wanted if not is_optional and not set(origins) & set(header)]
        wanted = [entry for entry in wanted if entry[:2] not in missing]
        for place, origins in missing:
            hint = did_you_mean(origins[0], header) or f"; it has {', '.join(header)}"
            report.wrong(place, f"{file.name} has no column {' or '.join(map(repr, origins))}{hint}")


def _header(report: Report, kind: Input, spec: InputSpec, file: LandedFile) -> tuple[str, ...]:
    """Column names; none, and a mistake, for a file of another encoding."""
    try:
        return reading.header_of(spec, file)
    except EncodingError:
        report.wrong(("inputs", kind, "encoding"), f"{file.name} is not {spec.encoding}; say encoding: latin-1, or utf-16")
        return ()


def _origins(document: Document, kind: Input, spec: InputSpec) -> list[tuple[Place, tuple[str, ...], bool]]:
    """Where the mapping says what it reads: place, names of which one is enough, and whether it may be missing."""
    place: Place = ("inputs", kind)
    columns = [
        (document.existing((*place, "columns", name, "column")), column.origins, column.optional) for name, column in spec.columns.items() if column.origins
    ]
    kept = [(document.existing((*place, "properties", name, "column")), (kept.column,), kept.optional) for name, kept in spec.properties.items()]
    rules = enumerate(spec.event_type)
    return [
        *columns,
        *kept,
        *(((*place, "event_type", number, "when", "column"), (rule.when.column,), rule.when.optional) for number, rule in rules if rule.when),
    ]


def _sample(settings: Settings, report: Report, source: Source, matched: dict[Input, list[LandedFile]], n_records: int) -> None:
    for kind, files in matched.items():
        if files:
            with duck.connect(settings) as connection, reading.readable(files):
                sample = take(settings, connection, source, kind, files, n_records=n_records)
            report.samples.append(sample)
            _judge(report, sample, settings.gate.max_quarantined_share)


def _judge(report: Report, sample: Sample, max_quarantined_share: float) -> None:
    """What the sample says against the YAML."""
    place: Place = ("inputs", sample.kind)
    for name in sample.bad_constants:
        report.wrong((*place, "columns", name, "constant"), f"{sample.spec.columns[name].constant!r} cannot be read as {name}")
    if sample.n_records and not sample.n_kept:
        _nothing_kept(report, sample)
    elif sample.n_quarantined > max_quarantined_share * sample.n_records:
        share = sample.n_quarantined / sample.n_records
        text = f"{share:.0%} of the sample would go to quarantine; a batch with more than {max_quarantined_share:.0%} is kept out (gate.max_quarantined_share)"
        report.note(place, text)
    for where, origins, _ in _origins(report.document, sample.kind, sample.spec):
        if set(origins) <= sample.empty:
            report.note(
                where, f"{' or '.join(origins)} is empty in all records of the sample{did_you_mean(origins[0], sample.unmapped, likeness=PATHS_LIKENESS)}"
            )


def _nothing_kept(report: Report, sample: Sample) -> None:
    place: Place = ("inputs", sample.kind)
    if not sample.problems:
        report.note((*place, "event_type"), "the rules ignore all records of the sample")
    for problem, n in sample.problems:
        name, reason = problem.split(problems.REASON_SEPARATOR, 1)
        where: Place = (*place, FIELDS[name]) if name in FIELDS else (*place, "columns", name)
        report.wrong(where, f"{reason} in {n:,} of {sample.n_records:,} records; none can be kept")
