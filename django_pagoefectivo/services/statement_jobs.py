"""Statements that are imported by a job: too large for a request.

An import is one transaction and knows a file that it has seen, so a job that died is simply
run again: the file is in as a whole or not at all, and never twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..models import BulkAct, BulkJob, Statement
from .statement_uploads import Upload
from .statements import import_statement

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def make_import_job(
    upload: Upload, *, columns: Mapping[str, str] | None = None, user: User
) -> BulkJob:
    """A queued job that imports ``upload`` in the name of ``user``.

    ``columns`` maps fields to headings where they were chosen by hand. The upload is put
    where it waits for the job. Raises ``StatementError`` if it is there no more.
    """
    waiting = upload.queued()
    return BulkJob.objects.create(
        act=BulkAct.IMPORT,
        options={
            "upload": waiting.name,
            "file_name": waiting.file_name,
            "merchant": waiting.merchant,
            "columns": dict(columns) if columns else None,
        },
        user=user,
        user_name=user.get_username(),
    )


def upload_of(job: BulkJob) -> Upload:
    """The upload that ``job`` is to import."""
    options = job.options
    return Upload(options["upload"], options["file_name"], options["merchant"], str(job.user_id))


def import_upload(job: BulkJob, user: User, goes_on: Callable[[], None]) -> Statement:
    """Import the upload of ``job`` for ``user``; the earlier statement if it is known already.

    ``goes_on`` is called every thousand lines, inside the import's transaction: what it raises
    undoes the import. Raises ``StatementError``, and nothing is written then.
    """
    upload = upload_of(job)
    with upload.open() as file:
        return import_statement(
            file,
            file_name=upload.file_name,
            merchant=upload.merchant,
            columns=job.options["columns"],
            user=user,
            progress=lambda _lines: goes_on(),
        )
