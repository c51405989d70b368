"""Uploaded reports between their preview and their import: private, and not for long.

They lie in the storage ``pagoefectivo`` of ``STORAGES``, which servers that share the work
must share too, also with whoever works on jobs; without one, in a folder of this machine
that only the server's own user can open. The browser gets a signed name that works for the
person who uploaded it only.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from django.core import signing
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils.translation import gettext as _

from .statement_files import StatementError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEPT = timedelta(hours=1)
#: How long a job may take to get to its file.
KEPT_QUEUED = timedelta(days=7)
ALIAS = "pagoefectivo"
_FOLDER = "pagoefectivo-statements"
_SALT = "django_pagoefectivo.statement_uploads"
#: What the names of uploads begin with that a job is to import.
_QUEUED = "queued-"


@dataclass(frozen=True, slots=True)
class Upload:
    """A report that waits to be imported; ``token`` is what the browser holds."""

    name: str
    file_name: str
    merchant: str
    user: str

    @property
    def token(self) -> str:
        """The signed name."""
        return signing.dumps(asdict(self), salt=_SALT)

    def open(self) -> IO[bytes]:
        """The file. Raises ``StatementError`` if it is there no more."""
        try:
            return cast("IO[bytes]", _storage().open(f"{_FOLDER}/{self.name}"))
        except FileNotFoundError:
            raise StatementError(self._gone) from None

    @property
    def size(self) -> int:
        """Its bytes. Raises ``StatementError`` if it is there no more."""
        try:
            return _storage().size(f"{_FOLDER}/{self.name}")
        except FileNotFoundError:
            raise StatementError(self._gone) from None

    def queued(self) -> Upload:
        """The same file, put where it is kept until a job imports it.

        Raises ``StatementError`` if it is there no more, as it is when it was put there before.
        """
        name = f"{_QUEUED}{_new_name()}"
        with self.open() as file:
            _storage().save(f"{_FOLDER}/{name}", File(file))
        self.drop()
        return replace(self, name=name)

    @property
    def _gone(self) -> str:
        if self.name.startswith(_QUEUED):
            return _(
                "The uploaded file is gone; one that waits is kept for a week. Import it again."
            )
        return _gone()

    def drop(self) -> None:
        """Delete the file."""
        _storage().delete(f"{_FOLDER}/{self.name}")


def keep(file: File[bytes], *, file_name: str, merchant: str, user: User) -> Upload:
    """Keep ``file`` for ``user``; what is older than ``KEPT`` or ``KEPT_QUEUED`` goes."""
    storage = _storage()
    _purge(storage)
    name = _new_name()
    storage.save(f"{_FOLDER}/{name}", file)
    return Upload(name, file_name, merchant, str(user.pk))


def find(token: str, *, user: User) -> Upload:
    """The upload of a token that ``user`` was given. Raises ``StatementError``."""
    try:
        upload = Upload(**signing.loads(token, salt=_SALT, max_age=KEPT))
    except signing.BadSignature:
        raise StatementError(_gone()) from None
    if upload.user != str(user.pk):
        raise StatementError(_gone())
    return upload


def _new_name() -> str:
    return f"{int(time.time())}-{secrets.token_hex(16)}"


def _gone() -> str:
    return _("An uploaded file is kept for an hour, and this one is gone. Choose it again.")


def _storage() -> Storage:
    if ALIAS in storages.backends:
        return storages[ALIAS]
    return FileSystemStorage(_private_folder(), file_permissions_mode=0o600)


def _private_folder() -> Path:
    """A folder below the temporary one that nobody else can have prepared or can read."""
    if os.name != "posix":
        # There the temporary folder is each user's own.
        return Path(tempfile.gettempdir())
    folder = Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SuspiciousFileOperation(f"{folder} is not private to the user of this server.")
    return folder


def _purge(storage: Storage) -> None:
    """Delete what nobody came back for."""
    now = time.time()
    try:
        _folders, names = storage.listdir(_FOLDER)
    except (FileNotFoundError, NotImplementedError):
        return
    for name in names:
        kept = KEPT_QUEUED if name.startswith(_QUEUED) else KEPT
        made = name.removeprefix(_QUEUED).partition("-")[0]
        if made.isdigit() and int(made) < now - kept.total_seconds():
            storage.delete(f"{_FOLDER}/{name}")
