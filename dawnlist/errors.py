"""Every error that a user can meet: one class per kind, one exit code per class.

The message says what was wrong, where, and what to do; the command line prints it without a traceback. `is_retryable` tells the
scheduler whether the same call can pass a little later (a lock that is held) or never will (a failed gate, a bad setting).
"""


class DawnlistError(Exception):
    """Base of all errors that are meant to be read by a person."""

    exit_code = 1
    is_retryable = False


class SettingsError(DawnlistError):
    """A setting, an environment variable or dawnlist.toml is wrong."""

    exit_code = 3


class SourceError(DawnlistError):
    """An unknown source, or a mistake in a source's YAML."""

    exit_code = 4


class LandingError(DawnlistError):
    """The landing folder is missing, or holds no file of the source."""

    exit_code = 5


class UnreadableFileError(DawnlistError):
    """A landed file cannot be read: truncated, not what its ending says, or no right to read it."""

    exit_code = 6


class EncodingError(UnreadableFileError):
    """A landed text file is in another encoding than its source's mapping says."""


class ColumnsError(DawnlistError):
    """A landed file, or one that a setting names, lacks a column that is needed, or the column is of another form."""

    exit_code = 7


class GateError(DawnlistError):
    """A Great Expectations suite failed on a critical expectation: nothing downstream was changed."""

    exit_code = 8


class LockedError(DawnlistError):
    """Another run holds the home; it is released as soon as that process ends."""

    exit_code = 9
    is_retryable = True


class SystemRequirementError(DawnlistError):
    """A system package is missing: Java 17 or newer, libgomp."""

    exit_code = 10


class StorageError(DawnlistError):
    """The disk is full, or a folder cannot be written."""

    exit_code = 11
    is_retryable = True


class TransformError(DawnlistError):
    """dbt could not build a model, or a data test failed."""

    exit_code = 12


class MissingInputError(DawnlistError):
    """A stage was called before the stage that makes its input, or before the file that a setting names was written."""

    exit_code = 13


class ServingError(DawnlistError):
    """The serving database cannot be reached or written."""

    exit_code = 14
    is_retryable = True


class PublicationError(DawnlistError):
    """Publishing would go back in time, or would publish something incomplete."""

    exit_code = 15


class CorruptedError(DawnlistError):
    """A file does not match the hash in its manifest."""

    exit_code = 16


class OrchestrationError(DawnlistError):
    """Airflow did not start, or a run in it failed or never came."""

    exit_code = 17


class SimulationError(DawnlistError):
    """The simulator cannot make what was asked: a number out of range, or a folder that holds something else."""

    exit_code = 18


class LandingStoreError(DawnlistError):
    """The object store that files land in cannot be reached, or refuses to be read."""

    exit_code = 19
    is_retryable = True


class RegistryError(DawnlistError):
    """The registry of models cannot do what was asked: no such version, or nothing to change."""

    exit_code = 20


class SplitError(DawnlistError):
    """A train or test file for `evaluate` is unusable: a missing column, no rows, ids that do not fit together, weights that are no numbers."""

    exit_code = 21


class ExportError(DawnlistError):
    """An export would change too many users, or a consumer names a bundle that it cannot have."""

    exit_code = 22


class DeliveryError(DawnlistError):
    """A bundle could not be delivered; the same call goes on where it stopped."""

    exit_code = 23
    is_retryable = True


class BaseMissingError(DeliveryError):
    """The CMS does not have the bundle that a delta is from."""


class ManifestRefusedError(DeliveryError):
    """The CMS lacks documents that it was sent, or cannot use the bundle."""


class RefusedDocumentsError(DeliveryError):
    """The CMS has the bundle without some documents, which it refused: sending them again would not help."""

    is_retryable = False


class DifferenceError(DawnlistError):
    """A CMS shows something else than the newest bundle, and nobody has asked for a repair."""

    exit_code = 24


INTERRUPTED_EXIT_CODE = 130
