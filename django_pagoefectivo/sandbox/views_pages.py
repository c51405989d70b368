"""The pages: a code's hosted page, as at PagoEfectivo, and the sandbox's own panel."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from . import control, notifications
from .armed import DEFAULT_WAIT
from .faults import LONGEST_WAIT, ApiFault, NotificationFault, Operation
from .guard import sandbox_view
from .models import SandboxCall, SandboxCode, SandboxNotification
from .presentation import ShownCode, ShownNotification

LATEST = 20
MOST_TIMES = 1000


class SecondsField(forms.FloatField):
    """How long something waits; the usual time if left empty."""

    def __init__(self, label: str) -> None:
        super().__init__(
            label=label,
            required=False,
            min_value=0,
            max_value=LONGEST_WAIT,
            initial=DEFAULT_WAIT,
        )


class PayForm(forms.Form):
    """How the shop is told of a payment."""

    fault = forms.ChoiceField(choices=NotificationFault.choices, label="The shop is told")
    seconds = SecondsField("Seconds, if late")


class ArmForm(forms.Form):
    """A fault for the API's next calls."""

    fault = forms.ChoiceField(choices=ApiFault.choices, label="What goes wrong")
    operation = forms.ChoiceField(
        choices=Operation.choices, initial=Operation.CREATE.value, label="In which call"
    )
    times = forms.IntegerField(min_value=1, max_value=MOST_TIMES, initial=1, label="How often")
    seconds = SecondsField("Seconds, if slow")


# -- a code's page ---------------------------------------------------------------------


@sandbox_view
@csrf_protect
@require_safe
def code_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The page that ``cipUrl`` names; 404 once the code is deleted."""
    return _show_code(request, _code(uuid), PayForm())


@sandbox_view
@csrf_protect
@require_POST
def pay(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Pay at an agent, or after the term, and tell the shop in the way that was chosen."""
    code, form = _code(uuid), PayForm(request.POST)
    if not form.is_valid():
        return _show_code(request, code, form, status=400)
    seconds = form.cleaned_data["seconds"]
    control.pay(
        code.cip,
        fault=NotificationFault(form.cleaned_data["fault"]),
        delay=DEFAULT_WAIT if seconds is None else seconds,
        callback_url=notifications.callback_url(code, request),
    )
    return redirect(code)


@sandbox_view
@csrf_protect
@require_POST
def expire(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """End the code's term; ``notify`` says whether the shop is told."""
    code = _code(uuid)
    control.expire(
        code.cip,
        notify="notify" in request.POST,
        callback_url=notifications.callback_url(code, request),
    )
    return redirect(code)


@sandbox_view
@csrf_protect
@require_POST
def delete(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Delete the code; its page is gone then."""
    code = _code(uuid)
    is_deleted = control.delete(code.cip)
    return redirect("pagoefectivo_sandbox:panel") if is_deleted else redirect(code)


@sandbox_view
@csrf_protect
@require_POST
def refund(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Give the money back and tell the shop."""
    code = _code(uuid)
    control.refund(code.cip, callback_url=notifications.callback_url(code, request))
    return redirect(code)


def _code(uuid: UUID) -> SandboxCode:
    code = get_object_or_404(SandboxCode, uuid=uuid)
    if code.status in (SandboxCode.Status.DELETED, SandboxCode.Status.ANNULLED):
        raise Http404("This code was deleted.")
    return code


def _show_code(
    request: HttpRequest, code: SandboxCode, form: PayForm, status: int = 200
) -> HttpResponse:
    context = {
        "shown": ShownCode.of(code, timezone.now()),
        "form": form,
        "faults": list(NotificationFault),
        "notifications": [
            ShownNotification.of(sent)
            for sent in SandboxNotification.objects.filter(code=code)[:LATEST]
        ],
    }
    return render(request, "pagoefectivo_sandbox/code.html", context, status=status)


# -- the panel -------------------------------------------------------------------------


@sandbox_view
@csrf_protect
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """The latest codes, the armed faults and what the shop was told."""
    return _show_panel(request, ArmForm())


@sandbox_view
@csrf_protect
@require_POST
def arm(request: HttpRequest) -> HttpResponse:
    """Queue a fault for the API's next calls."""
    form = ArmForm(request.POST)
    if not form.is_valid():
        return _show_panel(request, form, status=400)
    control.arm(
        ApiFault(form.cleaned_data["fault"]),
        Operation(form.cleaned_data["operation"]),
        form.cleaned_data["times"],
        form.cleaned_data["seconds"],
    )
    return redirect("pagoefectivo_sandbox:panel")


@sandbox_view
@csrf_protect
@require_POST
def disarm(request: HttpRequest) -> HttpResponse:
    """Forget the armed faults."""
    control.disarm()
    return redirect("pagoefectivo_sandbox:panel")


def _show_panel(request: HttpRequest, form: ArmForm, status: int = 200) -> HttpResponse:
    now = timezone.now()
    counted = SandboxCall.objects.order_by().values("operation").annotate(count=Count("pk"))
    context = {
        "codes": [ShownCode.of(code, now) for code in SandboxCode.objects.all()[:LATEST]],
        "form": form,
        "faults": list(ApiFault),
        "armed": control.armed(),
        "calls": [(Operation(row["operation"]).label, row["count"]) for row in counted],
        "notifications": [
            ShownNotification.of(sent)
            for sent in SandboxNotification.objects.select_related("code")[:LATEST]
        ],
    }
    return render(request, "pagoefectivo_sandbox/panel.html", context, status=status)
