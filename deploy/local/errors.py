"""What can go wrong on somebody's machine: each error is one sentence that ends with what to do."""

from __future__ import annotations


class LocalStackError(Exception):
    """A situation of the machine that its operator can change; the message is the whole story."""

    exit_code = 1
    code = "local_stack"


class PortBusyError(LocalStackError):
    code = "port_busy"


class RegistryUnreachableError(LocalStackError):
    code = "registry_unreachable"


class WrongChecksumError(LocalStackError):
    code = "wrong_checksum"


class DiskFullError(LocalStackError):
    code = "disk_full"


class DataFolderError(LocalStackError):
    """A data folder that its server refuses: another version, missing files, broken pages."""

    code = "data_folder"


class AlreadyRunningError(LocalStackError):
    code = "already_running"


class MissingPartError(LocalStackError):
    """A binary that this platform's packages do not have."""

    code = "missing_part"


class ProgramFailedError(LocalStackError):
    """A process of the stack that does not come up, for a reason we have no better words for."""

    code = "program_failed"


class BadTerritoryError(LocalStackError):
    """A `territory.toml` or `agent.toml` that says something we cannot follow."""

    exit_code = 2
    code = "bad_territory"
