"""Importing a report: choose the file, see what an import would do, import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
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
from ..services.statement_columns import FIELDS, is_enough
from ..services.statement_files import StatementError
from ..services.statements import Preview, import_statement, preview_statement
from . import statement_uploads
from .base import ReadOnlyAdmin
from .filters import merchant_names
from .formatting import badge, lima, money

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: What is read within the time that web servers grant a request.
LARGEST = 5 * 1024 * 1024
_PREFIX = "column_"

FIELD_LABELS: dict[str, _StrOrPromise] = {
    "cip": _("CIP"),
    "transaction_code": _("Transaction code"),
    "operation_number": _("Operation number"),
    "amount": _("Amount"),
    "commission": _("Commission"),
    "net": _("Net"),
    "currency": _("Currency"),
    "paid_at": _("Paid on"),
    "status": _("Status"),
}


class UploadForm(forms.Form):
    """The report and whose it is."""

    file = forms.FileField(
        label=_("Report"),
        allow_empty_file=True,
        help_text=_("PagoEfectivo's settlement report as CSV or XLSX."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.tsv,.xlsx"}),
    )
    merchant = forms.ChoiceField(label=_("Merchant"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["merchant"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = [(name, name) for name in merchant_names()]

    def clean_file(self) -> UploadedFile[bytes]:
        """A file that can be read within one request."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) >= LARGEST:
            raise ValidationError(
                _("The file has %(size)s MB. From %(most)s MB on, run: %(command)s")
                % {
                    "size": (file.size or 0) // 1024**2,
                    "most": LARGEST // 1024**2,
                    "command": "manage.py pagoefectivo_import FILE",
                }
            )
        return file


class ColumnsForm(forms.Form):
    """Which heading is which field, chosen by hand."""

    def __init__(self, preview: Preview, token: str) -> None:
        super().__init__()
        self.fields["token"] = forms.CharField(widget=forms.HiddenInput, initial=token)
        headings = dict.fromkeys(heading for heading in preview.headings if heading)
        choices = [("", "---------"), *((heading, heading) for heading in headings)]
        for name in FIELDS:
            self.fields[_PREFIX + name] = forms.ChoiceField(
                label=FIELD_LABELS[name],
                choices=choices,
                required=name == "amount",
                initial=preview.columns.get(name, ""),
            )


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
        upload: statement_uploads.Upload,
        preview: Preview,
        columns: Mapping[str, str] | None,
    ) -> None:
        self._discretion = Discretion.of(request)
        self.upload = upload
        self.preview = preview
        #: Chosen by hand; posted again with the import.
        self.by_hand = [(_PREFIX + name, heading) for name, heading in (columns or {}).items()]
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
            if (heading := request.POST.get(_PREFIX + name, "").strip())
        }
        chosen = any(_PREFIX + name in request.POST for name in FIELDS)
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
        upload: statement_uploads.Upload,
        columns: Mapping[str, str] | None,
    ) -> HttpResponse:
        with upload.open() as file:
            preview = preview_statement(file, merchant=upload.merchant, columns=columns)
        context = {
            "title": _("Before the import"),
            "page": PreviewPage(request, upload, preview, columns),
            "known_url": self.page_url(preview.known_as) if preview.known_as else "",
        }
        return self.answer(request, "statement_preview.html", context)

    def _import(
        self,
        request: HttpRequest,
        upload: statement_uploads.Upload,
        columns: Mapping[str, str] | None,
    ) -> HttpResponse:
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
