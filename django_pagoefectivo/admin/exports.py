"""Exports: a question that says how many rows, then the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Model, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..gateways.wire import LIMA
from ..rights import EXPORT, may, staff_of
from ..services import exports
from ..services.export_files import HAS_XLSX, csv_parts, xlsx_file
from ..services.exports import Table
from .bulk import selection_of
from .paging import bounded_count

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite

#: More take longer than web servers grant a request.
MOST = 50_000
_CSV = "text/csv; charset=utf-8"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ExportForm(forms.Form):
    """Which kind of file."""

    kind = forms.ChoiceField(label=gettext_lazy("File"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [
            ("csv", _("CSV")),
            ("csv-comma", _("CSV for spreadsheets with decimal comma (semicolons)")),
        ]
        if HAS_XLSX:
            kinds.append(("xlsx", _("Excel (XLSX)")))
        field = self.fields["kind"]
        if isinstance(field, forms.ChoiceField):
            field.choices = kinds
        field.initial = kinds[-1][0]


def offer(
    request: HttpRequest,
    site: AdminSite,
    table: Table[Any],
    chosen: QuerySet[Any],
    context: dict[str, Any],
) -> HttpResponseBase:
    """Ask, and once the person has confirmed give them the file of ``chosen``.

    ``context`` is for the page that asks: where it leads back to, what it is about.
    """
    confirmed = request.POST.get("confirmed") == "yes"
    form = ExportForm(request.POST if confirmed else None)
    personal = may(request, EXPORT)
    count = chosen.order_by().count()
    if confirmed and form.is_valid():
        _log(request, chosen.model, table, count, personal=personal)
        return _file(request, table, chosen, form.cleaned_data["kind"], personal=personal)
    request.current_app = site.name
    whole = {
        **site.each_context(request),
        "title": _("Export"),
        "question": ngettext("Export %d row?", "Export %d rows?", count) % count,
        "form": form,
        "personal": personal,
        "headings": table.headings(personal=personal),
        **context,
    }
    return TemplateResponse(request, "django_pagoefectivo/admin/export.html", whole)


def exporting(table: Table[Any]) -> Any:
    """The list's action that exports the chosen rows as ``table``."""

    @admin.action(description=gettext_lazy("Export…"))
    def export_rows(
        modeladmin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponseBase | None:
        """Give the chosen rows as a file."""
        if bounded_count(queryset, MOST) > MOST:
            _refuse(request, table)
            return None
        context = {
            "opts": modeladmin.opts,
            "action": "export_rows",
            "checkbox": ACTION_CHECKBOX_NAME,
            # The same choice again: rows picked by hand, or all that the filter gives.
            "across": request.POST.get("select_across", "0"),
            "picked": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "back": request.get_full_path(),
        }
        return offer(request, modeladmin.admin_site, table, queryset, context)

    return export_rows


export_payments = exporting(exports.PAYMENTS)
export_events = exporting(exports.EVENTS)


def _refuse(request: HttpRequest, table: Table[Any]) -> None:
    chosen = selection_of(request)
    if table is not exports.PAYMENTS or chosen is None:
        text = _("More than %(most)d rows are chosen. Choose fewer.")
        messages.error(request, text % {"most": MOST})
        return
    command = f"manage.py pagoefectivo_export payments.csv {chosen.as_options()}".strip()
    text = _("More than %(most)d rows are chosen. Choose fewer, or run: %(command)s")
    messages.error(request, text % {"most": MOST, "command": command})


def _log(
    request: HttpRequest, model: type[Model], table: Table[Any], count: int, *, personal: bool
) -> None:
    text = (
        _("Exported %(count)d rows with personal data.")
        if personal
        else _("Exported %(count)d rows without personal data.")
    )
    LogEntry.objects.create(
        user=staff_of(request),
        content_type=ContentType.objects.get_for_model(model),
        object_id=None,
        object_repr=table.name,
        action_flag=CHANGE,
        change_message=text % {"count": count},
    )


def _file(
    request: HttpRequest, table: Table[Any], chosen: QuerySet[Any], kind: str, *, personal: bool
) -> HttpResponseBase:
    headings = table.headings(personal=personal)
    rows = table.rows(chosen, personal=personal)
    name = f"{table.name}-{timezone.now().astimezone(LIMA):%Y-%m-%d}"
    if kind == "xlsx":
        file = xlsx_file(table.name, headings, rows)
        return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=_XLSX)
    parts = csv_parts(headings, rows, decimal_comma=kind == "csv-comma")
    answer = StreamingHttpResponse(
        _asynchronous(parts) if isinstance(request, ASGIRequest) else parts, content_type=_CSV
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


async def _asynchronous(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same under ASGI, which would first collect all of a plain iterator."""

    def following() -> bytes:
        return next(parts, b"")

    while part := await sync_to_async(following)():
        yield part
