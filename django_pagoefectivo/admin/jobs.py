"""The bulk jobs: which there are, how far each is, and what it could not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from ..conf import get_config
from ..exceptions import InvalidTransition
from ..models import BulkAct, BulkJob, JobState, Statement
from ..rights import VIEW, may
from ..services import jobs
from .acts import Act, ActsAdmin
from .base import link_to, page_of
from .formatting import NOTHING, badge, lima

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.utils.functional import _StrOrPromise

#: Failures named on the page of a job.
_NAMED = 200
Data = Mapping[str, Any]


def _stop(job: BulkJob, user: User, data: Data) -> str:
    if not jobs.stop(job):
        raise InvalidTransition(gettext("The job is over: %s.") % job.get_state_display())
    return gettext("Stopped. What is done stays done.")


def _resume(job: BulkJob, user: User, data: Data) -> str:
    if not jobs.resume(job):
        raise InvalidTransition(gettext("The job is not to be resumed: it is %s.") % _state(job))
    return gettext("It goes on where it stopped.")


def _state(job: BulkJob) -> str:
    return str(job.get_state_display())


JOB_ACTS: tuple[Act[BulkJob], ...] = (
    Act(
        "stop",
        _("Stop"),
        _("Stop the job? What is done stays done."),
        run=_stop,
        offered=lambda job: not job.is_over,
    ),
    Act(
        "resume",
        _("Go on"),
        _("Go on where the job stopped?"),
        run=_resume,
        offered=lambda job: job.can_resume,
    ),
)


@admin.register(BulkJob)
class BulkJobAdmin(ActsAdmin[BulkJob]):
    """Jobs to look at, to stop and to resume."""

    list_display = ("created", "act", "total", "done", "failed", "shown_state", "user_name")
    list_display_links = ("created", "act")
    list_filter = ("state",)
    list_parameters = frozenset({"state__exact"})
    sortable_by: ClassVar[tuple[str, ...]] = ()
    actions = None
    acts = JOB_ACTS

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees payments sees what is done to many of them."""
        return may(request, VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for looking."""
        return may(request, VIEW)

    def get_urls(self) -> list[URLPattern]:
        """Django's, the acts', and how far a job is for its page to ask."""
        return [
            path(
                "<int:pk>/progress/",
                self.admin_site.admin_view(self.progress_view),
                name="pagoefectivo_bulkjob_progress",
            ),
            *super().get_urls(),
        ]

    @admin.display(description=_("begun (Lima)"))
    def created(self, job: BulkJob) -> str:
        """When it was made."""
        return lima(job.created_at)

    @admin.display(description=_("state"))
    def shown_state(self, job: BulkJob) -> str:
        """The state as a badge."""
        return badge(job.state, job.get_state_display(), "job")

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is, as JSON."""
        job = self.one_of(request, BulkJob.objects.all(), str(pk))
        return JsonResponse(
            {
                "state": job.state,
                "over": job.is_over,
                "worked": job.worked,
                "total": job.total,
                "text": _how_far(job),
            }
        )

    @method_decorator(require_safe)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one job. It takes no POST: acts have URLs of their own."""
        job = self.one_of(request, BulkJob.objects.select_related("user"), object_id)
        request.current_app = self.admin_site.name
        name = "admin:pagoefectivo_bulkjob_progress"
        failures = [
            (
                payment,
                link_to(self.admin_site, request, payment) if payment is not None else "",
                problem,
            )
            for payment, problem in jobs.failures_of(job, _NAMED)
        ]
        context = {
            **self.admin_site.each_context(request),
            # A file's name may be longer than there is room for; it is among the facts.
            "title": capfirst(job.get_act_display() if job.file_name else str(job)),
            "opts": self.opts,
            "object": job,
            "facts": _facts(job),
            "statement_url": self._statement_url(request, job),
            "how_far": _how_far(job),
            "status": self.shown_state(job),
            "advice": _advice(job),
            "progress_url": reverse(name, args=[job.pk], current_app=self.admin_site.name),
            "acts": self.offered_acts(request, job),
            "failures": failures,
            "more": max(job.failed - len(failures), 0),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "django_pagoefectivo/admin/job.html", context)

    def _statement_url(self, request: HttpRequest, job: BulkJob) -> str:
        """Where the statement is that ``job`` imported, for whoever may look at it."""
        if job.statement_id is None:
            return ""
        return page_of(self.admin_site, request, Statement, job.statement_id)

    def facts_for_act(
        self, request: HttpRequest, obj: BulkJob, act: Act[Any]
    ) -> list[tuple[Any, object]]:
        """The job in a few words."""
        return [*_facts(obj), (_("So far"), _how_far(obj))]


def _facts(job: BulkJob) -> list[tuple[_StrOrPromise, object]]:
    file: list[tuple[_StrOrPromise, object]] = (
        [(_("File"), job.file_name), (_("Merchant"), job.options["merchant"])]
        if job.file_name
        else []
    )
    return [
        (_("What"), job.get_act_display()),
        *file,
        (_("By"), job.user_name),
        (_("Begun (Lima)"), lima(job.created_at)),
        (_("Finished (Lima)"), lima(job.finished_at) if job.finished_at else NOTHING),
    ]


def _how_far(job: BulkJob) -> str:
    if job.act == BulkAct.IMPORT:
        return _how_far_in(job)
    return gettext("%(done)d done, %(failed)d not done, %(total)d in all") % {
        "done": job.done,
        "failed": job.failed,
        "total": job.total,
    }


def _how_far_in(job: BulkJob) -> str:
    """How far an import is, which is all of the file or nothing."""
    if job.statement_id is not None:
        told = ngettext("%d line was imported.", "%d lines were imported.", job.done)
        return told % job.done
    if job.is_over:
        return gettext("Nothing was imported.")
    return gettext("All of the file is imported at once, or nothing.")


def _advice(job: BulkJob) -> str:
    """What a person has to know or do for it to go on."""
    if job.error:
        return job.error
    command = f"manage.py pagoefectivo_bulk --job {job.pk}"
    if job.state == JobState.RUNNING and job.leased_until and job.leased_until < timezone.now():
        return gettext("Whoever worked on it is gone. It goes on by itself, or with: %s") % command
    if job.state == JobState.QUEUED and _waits_for_command():
        return gettext("It begins when the server looks for jobs, or at once with: %s") % command
    return ""


def _waits_for_command() -> bool:
    try:
        return get_config().background in (None, "command")
    except ImproperlyConfigured:
        return True
