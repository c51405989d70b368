"""Acts on many payments: each on its own, counted and named, safe to interrupt.

A request works for a limited time only. What is left then is put before the person
again, and what is done stays done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import Payment
from .paging import bounded_count
from .problems import PROBLEMS, sentence

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.utils.functional import _StrOrPromise

MOST = 1000
#: Below what web servers grant a request.
SECONDS = 20.0
_NAMED = 10
_SHOWN = 20


@dataclass(slots=True)
class Tally:
    """How many succeeded, and what to say of those that did not."""

    done: int = 0
    failed: int = 0
    sentences: list[str] = field(default_factory=list)

    def fail(self, problem: str, count: int = 1) -> None:
        """Count ``count`` failures for one reason."""
        self.failed += count
        self.sentences.append(problem)


#: Works on some payments (a few at a time) and counts how it went.
Work = Callable[[Sequence[Payment], Tally, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a list's action does.

    ``command`` is what to run instead for more than ``MOST`` rows; ``done`` makes the
    sentence for a number of successes. With ``asks`` the person is asked even for rows
    picked by hand. Work gets ``chunk`` payments at a time.
    """

    action: str
    title: _StrOrPromise
    question: Callable[[int], str]
    done: Callable[[int], str]
    asks: bool = True
    grave: bool = False
    chunk: int = 1
    form: type[forms.Form] = forms.Form
    command: str = ""


def one_by_one(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    label: _StrOrPromise,
    act: Callable[[Payment, Mapping[str, Any]], str],
) -> Work:
    """Work that does ``act`` to each payment by itself and logs how it went.

    ``act`` returns ``""``, or why it is no success though nothing failed.
    """

    def work(payments: Sequence[Payment], tally: Tally, data: Mapping[str, Any]) -> None:
        for payment in payments:
            try:
                problem = act(payment, data)
            except PROBLEMS as error:
                problem = sentence(error)
            if problem:
                tally.fail(f"{payment}: {problem}")
            else:
                tally.done += 1
            admin.log_change(request, payment, f"{label}: {problem}" if problem else str(label))

    return work


def run(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    chosen: QuerySet[Payment],
    bulk: Bulk,
    work: Work,
) -> HttpResponse | None:
    """Carry out a list's action: ask first where need be, then work and tell.

    ``chosen`` are the rows that the list hands over; once the person has confirmed, those
    that were on the confirmation page.
    """
    confirmed = request.POST.get("confirmed") == "yes"
    form = bulk.form(request.POST if confirmed else None)
    if confirmed:
        pks = _confirmed_pks(request)
        if not form.is_valid():
            return _ask(admin, request, bulk, pks, form)
    else:
        if bounded_count(chosen, MOST) > MOST:
            _refuse(request, bulk)
            return None
        pks = list(chosen.values_list("pk", flat=True))
        picked_by_hand = request.POST.get("select_across", "0") in ("", "0")
        if bulk.asks or not picked_by_hand:
            return _ask(admin, request, bulk, pks, form)
    tally, left = _work(admin, request, pks, bulk, work, form.cleaned_data if confirmed else {})
    _tell(request, bulk, tally)
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


def _refuse(request: HttpRequest, bulk: Bulk) -> None:
    if bulk.command:
        text = _("More than %(most)d payments are chosen. Choose fewer, or run: %(command)s")
    else:
        text = _("More than %(most)d payments are chosen. Choose fewer.")
    messages.error(request, text % {"most": MOST, "command": bulk.command})


def _confirmed_pks(request: HttpRequest) -> list[int]:
    # One field for all of them: Django refuses requests with too many fields.
    listed = request.POST.get("pks", "").split(",")[:MOST]
    return [int(pk) for pk in listed if pk.isascii() and pk.isdigit() and len(pk) < 19]


def _work(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    pks: Sequence[int],
    bulk: Bulk,
    work: Work,
    data: Mapping[str, Any],
) -> tuple[Tally, Sequence[int]]:
    """Work through ``pks`` while there is time; the tally and what is left."""
    tally = Tally()
    until = time.monotonic() + SECONDS
    for start in range(0, len(pks), bulk.chunk):
        if start and time.monotonic() > until:
            return tally, pks[start:]
        chunk = admin.get_queryset(request).filter(pk__in=pks[start : start + bulk.chunk])
        work(list(chunk.order_by("pk")), tally, data)
    return tally, []


def _tell(request: HttpRequest, bulk: Bulk, tally: Tally) -> None:
    if tally.done:
        messages.success(request, bulk.done(tally.done))
    if not tally.failed:
        return
    text = ngettext("%d payment was not done.", "%d payments were not done.", tally.failed)
    lines = [text % tally.failed, *tally.sentences[:_NAMED]]
    if len(tally.sentences) > _NAMED:
        lines.append(_("… and %d more reasons.") % (len(tally.sentences) - _NAMED))
    messages.error(request, "\n".join(lines))


def _ask(
    admin: ModelAdmin[Payment],
    request: HttpRequest,
    bulk: Bulk,
    pks: Sequence[int],
    form: forms.Form,
) -> HttpResponse:
    """The confirmation page: how many, which, and what else there is to say."""
    request.current_app = admin.admin_site.name
    context = {
        **admin.admin_site.each_context(request),
        "title": bulk.title,
        "opts": admin.opts,
        "bulk": bulk,
        "question": bulk.question(len(pks)),
        "form": form,
        "payments": admin.get_queryset(request).filter(pk__in=pks[:_SHOWN]),
        "more": max(len(pks) - _SHOWN, 0),
        "pks": ",".join(str(pk) for pk in pks),
        "first": pks[0] if pks else "",
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "django_pagoefectivo/admin/bulk.html", context)
