"""Importing a report: choose the file, see what an import would do, import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..discretion import Discretion
from ..models import LineState, Statement, StatementLine
from ..rights import RECONCILE, may, staff_of
from ..services import jobs, statement_uploads
from ..services.statement_columns import FIELDS, is_enough
from ..services.statement_files import StatementError
from ..services.statement_jobs import make_import_job
from ..services.statement_uploads import Upload
from ..services.statements import Preview, import_statement, preview_statement
from .base import ReadOnlyAdmin
from .formatting import badge, lima, money
from .statement_forms import FIELD_LABELS, PREFIX, ColumnsForm, UploadForm, is_for_a_job

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.utils.functional import _StrOrPromise

#: Lines read for the preview of a file that a job imports.
PREVIEWED = 1000


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of a report as cells of a table."""

    line: StatementLine
    state: str
    amount: str
    paid_on: str
    problem: str


def line_row(line: StatementLine, discretion: Discretion) -> LineRow:
    """What a table shows of ``line``, as far as the person may see it."""
    return LineRow(
        line,
        state=badge(line.state, LineState(line.state).label, "line"),
        amount=money(line.amount, line.currency),
        paid_on=lima(line.paid_at),
        problem=discretion.text(line.problem, line.payment),
    )


class PreviewPage:
    """What an import of ``upload`` would do."""

    def __init__(
        self,
        request: HttpRequest,
        upload: Upload,
        preview: Preview,
        columns: Mapping[str, str] | None,
        *,
        is_for_a_job: bool,
    ) -> None:
        self._discretion = Discretion.of(request)
        self.upload = upload
        self.preview = preview
        #: Whether only the first lines were read, and a job reads the others.
        self.is_for_a_job = is_for_a_job
        #: Chosen by hand; posted again with the import.
        self.by_hand = [(PREFIX + name, heading) for name, heading in (columns or {}).items()]
        self.form = ColumnsForm(preview, upload.token)

    @property
    def columns(self) -> list[tuple[_StrOrPromise, str]]:
        """Each field found with its heading."""
        found = self.preview.columns
        return [(FIELD_LABELS[name], found[name]) for name in FIELDS if name in found]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many lines would be in each state."""
        counts = self.preview.counts
        return [
            (badge(state, state.label, "line"), counts[state])
            for state in LineState
            if counts[state]
        ]

    @property
    def total(self) -> int:
        """How many lines there are."""
        return self.preview.counts.total()

    @cached_property
    def lines(self) -> list[LineRow]:
        """The first lines."""
        return [line_row(line, self._discretion) for line in self.preview.lines]


class StatementImport(ReadOnlyAdmin[Statement]):
    """The pages that bring reports in."""

    def get_urls(self) -> list[URLPattern]:
        """Django's and the import."""
        return [
            path(
                "import/",
                self.admin_site.admin_view(self.import_view),
                name="pagoefectivo_statement_import",
            ),
            *super().get_urls(),
        ]

    def may_import(self, request: HttpRequest) -> bool:
        """Whether the person may bring reports in."""
        return self.has_view_permission(request) and may(request, RECONCILE)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Choose a file; on POST see what an import would do, then import."""
        if not self.may_import(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._ask_for_file(request, UploadForm())
        if "token" in request.POST:
            return self._go_on(request)
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._ask_for_file(request, form)
        file: UploadedFile[bytes] = form.cleaned_data["file"]
        upload = statement_uploads.keep(
            file,
            file_name=file.name or "",
            merchant=form.cleaned_data["merchant"],
            user=staff_of(request),
        )
        try:
            return self._preview(request, upload, None)
        except StatementError as error:
            upload.drop()
            form.add_error("file", str(error))
            return self._ask_for_file(request, form)

    def _go_on(self, request: HttpRequest) -> HttpResponse:
        """With a file that is here already: map its columns by hand, or import it."""
        columns = {
            name: heading
            for name in FIELDS
            if (heading := request.POST.get(PREFIX + name, "").replace("\x00", "").strip())
        }
        chosen = any(PREFIX + name in request.POST for name in FIELDS)
        if chosen and not is_enough(columns):
            messages.error(
                request,
                gettext("Choose the column of the amount, and that of the CIP or the code."),
            )
            chosen = False
        try:
            upload = statement_uploads.find(request.POST["token"], user=staff_of(request))
            by_hand = columns if chosen else None
            if request.POST.get("do") == "import":
                return self._import(request, upload, by_hand)
            return self._preview(request, upload, by_hand)
        except StatementError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self.import_url)

    def _preview(
        self,
        request: HttpRequest,
        upload: Upload,
        columns: Mapping[str, str] | None,
    ) -> HttpResponse:
        large = is_for_a_job(upload)
        with upload.open() as file:
            preview = preview_statement(
                file,
                merchant=upload.merchant,
                columns=columns,
                most=PREVIEWED if large else None,
            )
        context = {
            "title": _("Before the import"),
            "page": PreviewPage(request, upload, preview, columns, is_for_a_job=large),
            "known_url": self.page_url(preview.known_as) if preview.known_as else "",
        }
        return self.answer(request, "statement_preview.html", context)

    def _import(
        self,
        request: HttpRequest,
        upload: Upload,
        columns: Mapping[str, str] | None,
    ) -> HttpResponse:
        if is_for_a_job(upload):
            return self._import_by_job(request, upload, columns)
        began = timezone.now()
        with upload.open() as file:
            statement = import_statement(
                file,
                file_name=upload.file_name,
                merchant=upload.merchant,
                columns=columns,
                user=staff_of(request),
            )
        upload.drop()
        if statement.uploaded_at < began:
            messages.info(
                request,
                gettext("This very file was imported on %s (Lima) already; nothing has changed.")
                % lima(statement.uploaded_at),
            )
        else:
            told = ngettext(
                "%d line was imported.", "%d lines were imported.", statement.line_count
            )
            messages.success(request, told % statement.line_count)
            self.log_addition(request, statement, told % statement.line_count)
        return HttpResponseRedirect(self.page_url(statement))

    def _import_by_job(
        self, request: HttpRequest, upload: Upload, columns: Mapping[str, str] | None
    ) -> HttpResponse:
        job = make_import_job(upload, columns=columns, user=staff_of(request))
        log_of: ModelAdmin[Any] = self
        log_of.log_change(request, job, f"{gettext('Import a statement')}: {job.file_name}")
        try:
            jobs.enqueue(job)
        except ImproperlyConfigured as error:
            # The job waits all the same.
            messages.error(request, str(error))
        name = "admin:pagoefectivo_bulkjob_change"
        return HttpResponseRedirect(reverse(name, args=[job.pk], current_app=self.admin_site.name))

    def _ask_for_file(self, request: HttpRequest, form: UploadForm) -> HttpResponse:
        context = {"title": _("Import a statement"), "form": form}
        return self.answer(request, "statement_import.html", context)

    @property
    def import_url(self) -> str:
        """Where reports are brought in."""
        return reverse("admin:pagoefectivo_statement_import", current_app=self.admin_site.name)

    def page_url(self, statement: Statement) -> str:
        """The page of ``statement``."""
        name = "admin:pagoefectivo_statement_change"
        return reverse(name, args=[statement.pk], current_app=self.admin_site.name)

    def answer(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """A page of this admin."""
        request.current_app = self.admin_site.name
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"django_pagoefectivo/admin/{template}", whole)
