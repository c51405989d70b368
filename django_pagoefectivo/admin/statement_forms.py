"""The forms of an import: which file, whose it is, and which column is what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from ..services.job_starters import has_background
from ..services.statement_columns import FIELDS
from ..services.statement_uploads import Upload
from ..services.statements import Preview
from .filters import merchant_names

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: What is read within the time that web servers grant a request.
LARGEST = 5 * 1024 * 1024
#: What a job takes from a browser.
LARGEST_QUEUED = 200 * 1024 * 1024
#: What a column's field is called before the name of what it holds.
PREFIX = "column_"

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
        """A file that can be read within one request, or by a job where there are any."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        most = LARGEST_QUEUED if has_background() else LARGEST
        if (file.size or 0) >= most:
            raise ValidationError(
                _("The file has %(size)s MB. From %(most)s MB on, run: %(command)s")
                % {
                    "size": (file.size or 0) // 1024**2,
                    "most": most // 1024**2,
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
            self.fields[PREFIX + name] = forms.ChoiceField(
                label=FIELD_LABELS[name],
                choices=choices,
                required=name == "amount",
                initial=preview.columns.get(name, ""),
            )


def is_for_a_job(upload: Upload) -> bool:
    """Whether ``upload`` is more than one request reads. Raises ``StatementError``."""
    return upload.size >= LARGEST
