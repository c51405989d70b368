"""Work on many payments, or with a large file, that goes on without the person who asked for it."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import BulkAct, JobState


class BulkJob(models.Model):
    """One act on many payments: what, by whom, how far it is.

    The payments are those that were chosen when it was made, in its ``parts``. A job that
    imports a statement has none: its file is in ``options``, and it counts lines. Whoever
    works on it holds ``lease`` until ``leased_until`` and moves that on with every step, so
    a job whose process died is taken up again where it stopped.
    """

    Act = BulkAct
    State = JobState

    act = models.CharField(_("act"), max_length=20, choices=BulkAct.choices)
    #: What the act needs beside the payments, as JSON takes it: the new deadline; the upload,
    #: the file's name, the merchant and the columns, and once it is imported the statement.
    options = models.JSONField(_("options"), default=dict, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    #: Kept beside ``user``, so that the name outlives the account.
    user_name = models.CharField(_("name"), max_length=255, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=JobState.choices, default=JobState.QUEUED
    )
    total = models.PositiveIntegerField(_("in all"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    failed = models.PositiveIntegerField(_("not done"), default=0)
    #: Why the whole of it stopped, as a sentence.
    error = models.TextField(_("error"), blank=True)
    lease = models.UUIDField(null=True, editable=False)
    leased_by = models.CharField(max_length=128, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "leased_until"), name="pagoefectivo_job_due"),)

    def __str__(self) -> str:
        return f"{self.get_act_display()} ({self.file_name or self.total})"

    @property
    def file_name(self) -> str:
        """What the file is called that it imports; ``""`` for any other act."""
        return str(self.options.get("file_name", ""))

    @property
    def statement_id(self) -> int | None:
        """The primary key of the statement that it imported."""
        return cast("int | None", self.options.get("statement"))

    @property
    def worked(self) -> int:
        """How many payments it has gone through."""
        return self.done + self.failed

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it unless a person resumes it."""
        return self.state in (JobState.DONE, JobState.STOPPED, JobState.BROKEN)

    @property
    def can_resume(self) -> bool:
        """Whether it ended before its time and there is something to go on with."""
        is_cut = self.state in (JobState.STOPPED, JobState.BROKEN)
        return is_cut and (self.act != BulkAct.IMPORT or "upload" in self.options)


class BulkJobPart(models.Model):
    """Some of a job's payments and how it went with them."""

    job = models.ForeignKey(BulkJob, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    payment_ids = models.JSONField(default=list)
    #: How many of them, in their order, have been gone through.
    position = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    #: ``[payment, sentence]`` of those that were not done.
    failures = models.JSONField(default=list)
    is_worked = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("part of a bulk job")
        verbose_name_plural = _("parts of bulk jobs")
        ordering = ("job", "number")
        constraints = (
            models.UniqueConstraint(fields=("job", "number"), name="pagoefectivo_one_part"),
        )

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"
