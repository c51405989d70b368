"""Acts on many payments: each on its own, counted and named, safe to interrupt.

A request works for a limited time only. What is left then is put before the person
again, and what is done stays done. More than ``MOST`` go to a background job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import InvalidTransition
from ..models import BulkAct, Payment
from ..rights import staff_of
from ..services import jobs
from ..services.bulk_acts import MANY_ACTS, Tally
from ..services.job_starters import has_background
from ..services.selection import Selection
from .keys import key_of
from .paging import bounded_count

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.utils.functional import _StrOrPromise

MOST = 1000
#: Below what web servers grant a request.
SECONDS = 20.0
_NAMED = 10
_SHOWN = 20
#: The list's parameters and what the command calls them.
_OPTION_OF = {
    "status__exact": "status",
    "merchant": "merchant",
    "attention": "attention",
    "reconciled": "reconciled",
    "from_day": "from_day",
    "to_day": "to_day",
}


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a list's action does: ``act`` to each of the chosen payments.

    ``question`` and ``done`` make sentences for a number of payments, ``log`` is what Django's
    log says. With ``asks`` the person is asked even for rows picked by hand.
    """

    action: str
    act: BulkAct
    title: _StrOrPromise
    log: _StrOrPromise
    question: Callable[[int], str]
    done: Callable[[int], str]
    asks: bool = True
    grave: bool = False
    form: type[forms.Form] = forms.Form


def run(
    admin: ModelAdmin[Payment], request: HttpRequest, chosen: QuerySet[Payment], bulk: Bulk
) -> HttpResponse | None:
    """Carry out a list's action: ask first where need be, then work and tell.

    ``chosen`` are the rows that the list hands over; once the person has confirmed, those
    that were on the confirmation page.
    """
    confirmed = request.POST.get("confirmed") == "yes"
    form = bulk.form(request.POST if confirmed else None)
    if confirmed and (upto := key_of(request.POST.get("upto", ""))) is not None:
        return _background(admin, request, chosen.filter(pk__lte=upto), bulk, form)
    if confirmed:
        pks = _confirmed_pks(request)
        if not form.is_valid():
            return _ask(admin, request, bulk, pks, form)
    else:
        picked_by_hand = request.POST.get("select_across", "0") in ("", "0")
        if bounded_count(chosen, MOST) > MOST:
            if not picked_by_hand and has_background():
                return _ask_for_job(admin, request, chosen, bulk, form)
            _refuse(request, bulk, picked_by_hand=picked_by_hand)
            return None
        pks = list(chosen.values_list("pk", flat=True))
        if not pks:
            messages.warning(request, _("No payment is chosen."))
            return None
        if bulk.asks or not picked_by_hand:
            return _ask(admin, request, bulk, pks, form)
    tally, left = _work(admin, request, pks, bulk, form.cleaned_data if confirmed else {})
    _tell(admin, request, bulk, tally)
    if not left:
        return None
    messages.warning(
        request,
        ngettext(
            "%d payment is left, as this took long. Go on with it below.",
            "%d payments are left, as this took long. Go on with them below.",
            len(left),
        )
        % len(left),
    )
    return _ask(admin, request, bulk, left, form)


# -- at most a thousand ----------------------------------------------------------------------


def _confirmed_pks(request: HttpRequest) -> list[int]:
    # One field for all of them: Django refuses requests with too many fields.
    listed = map(key_of, request.POST.get("pks", "").split(",")[:MOST])
    return [pk for pk in listed if pk is not None]


def _work(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    pks: Sequence[int],
    bulk: Bulk,
    data: Mapping[str, Any],
) -> tuple[Tally, Sequence[int]]:
    """Work through ``pks`` while there is time; the tally and what is left."""
    act, whole = MANY_ACTS[bulk.act], Tally()
    until = time.monotonic() + SECONDS
    for start in range(0, len(pks), act.chunk):
        if start and time.monotonic() > until:
            return whole, pks[start:]
        chunk = admin.get_queryset(request).filter(pk__in=pks[start : start + act.chunk])
        payments = list(chunk.order_by("pk"))
        tally = Tally()
        act.work(payments, tally, staff_of(request), data)
        _log(admin, request, bulk, payments, tally)
        whole.add(tally)
    return whole, []


def _log(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    bulk: Bulk,
    payments: Sequence[Payment],
    tally: Tally,
) -> None:
    problems = dict(tally.failures)
    for payment in payments:
        problem = problems.get(payment.pk)
        admin.log_change(request, payment, f"{bulk.log}: {problem}" if problem else str(bulk.log))


def _tell(admin: ModelAdmin[Payment], request: HttpRequest, bulk: Bulk, tally: Tally) -> None:
    if tally.done:
        messages.success(request, bulk.done(tally.done))
    if tally.changed:
        text = ngettext("%d has changed by it.", "%d have changed by it.", tally.changed)
        messages.info(request, text % tally.changed)
    if not tally.failed:
        return
    named = tally.failures[:_NAMED]
    found = admin.get_queryset(request).in_bulk([pk for pk, _problem in named if pk])
    text = ngettext("%d payment was not done.", "%d payments were not done.", tally.failed)
    lines = [text % tally.failed]
    lines += [f"{found[pk]}: {problem}" if pk in found else problem for pk, problem in named]
    if len(tally.failures) > _NAMED:
        lines.append(_("… and %d more reasons.") % (len(tally.failures) - _NAMED))
    messages.error(request, "\n".join(lines))


def _ask(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    bulk: Bulk,
    pks: Sequence[int],
    form: forms.Form,
) -> HttpResponse:
    """The confirmation page: how many, which, and what else there is to say."""
    context = {
        "question": bulk.question(len(pks)),
        "payments": admin.get_queryset(request).filter(pk__in=pks[:_SHOWN]),
        "more": max(len(pks) - _SHOWN, 0),
        "pks": ",".join(str(pk) for pk in pks),
        "first": pks[0] if pks else "",
    }
    return _page(admin, request, bulk, form, context)


def _page(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    bulk: Bulk,
    form: forms.Form,
    context: Mapping[str, object],
) -> HttpResponse:
    request.current_app = admin.admin_site.name
    whole = {
        **admin.admin_site.each_context(request),
        "title": bulk.title,
        "opts": admin.opts,
        "bulk": bulk,
        "form": form,
        "checkbox": ACTION_CHECKBOX_NAME,
        **context,
    }
    return TemplateResponse(request, "django_pagoefectivo/admin/bulk.html", whole)


# -- more ------------------------------------------------------------------------------------


def _refuse(request: HttpRequest, bulk: Bulk, *, picked_by_hand: bool) -> None:
    chosen = selection_of(request)
    if picked_by_hand or chosen is None:
        text = _("More than %(most)d payments are chosen. Choose fewer.")
        messages.error(request, text % {"most": MOST})
        return
    command = ["manage.py pagoefectivo_bulk", bulk.act.value, chosen.as_options() or "--all"]
    if bulk.act == BulkAct.EXTEND:
        command.append('--expires-at "2026-01-31 23:59"')
    command.append(f"--user {staff_of(request).get_username()}")
    text = _("More than %(most)d payments are chosen. Choose fewer, or run: %(command)s")
    messages.error(request, text % {"most": MOST, "command": " ".join(command)})


def selection_of(request: HttpRequest) -> Selection | None:
    """What the list is filtered by, where the command can choose by the same."""
    given = {name: str(value) for name, value in request.GET.items() if value and name != "p"}
    if not given.keys() <= _OPTION_OF.keys():
        return None
    return Selection(**{_OPTION_OF[name]: value for name, value in given.items()})


def _ask_for_job(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    chosen: QuerySet[Payment],
    bulk: Bulk,
    form: forms.Form,
) -> HttpResponse:
    """The confirmation page for what goes on without the person."""
    # What is made between the question and its answer was not asked about.
    upto = chosen.order_by().aggregate(last=Max("pk"))["last"] or 0
    count = chosen.filter(pk__lte=upto).order_by().count()
    context = {
        "question": bulk.question(count),
        "background": True,
        "payments": chosen.filter(pk__lte=upto)[:_SHOWN],
        "more": max(count - _SHOWN, 0),
        "upto": upto,
        "first": upto,
    }
    return _page(admin, request, bulk, form, context)


def _background(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    chosen: QuerySet[Payment],
    bulk: Bulk,
    form: forms.Form,
) -> HttpResponse | None:
    """Queue the job that was confirmed, and lead to its page."""
    if not form.is_valid():
        return _ask_for_job(admin, request, chosen, bulk, form)
    try:
        job = jobs.make_job(bulk.act, chosen, user=staff_of(request), **form.cleaned_data)
        jobs.enqueue(job)
    except (InvalidTransition, ImproperlyConfigured) as error:
        messages.error(request, str(error))
        return None
    log_of: ModelAdmin[Any] = admin
    log_of.log_change(request, job, f"{bulk.log}: {job.total}")
    name = "admin:pagoefectivo_bulkjob_change"
    return HttpResponseRedirect(reverse(name, args=[job.pk], current_app=admin.admin_site.name))
