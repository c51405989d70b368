"""Acts on one row, each with its own URL: a question to look at, a POST to do it.

Who may do what is asked on every request. A refusal of the services is a sentence, and
whatever is done or tried stands in Django's log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from ..rights import RECONCILE, may, staff_of
from ..services.problems import PROBLEMS, sentence
from ..services.staff import AlreadyDone
from .base import ReadOnlyAdmin
from .forms import ActForm

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.utils.functional import _StrOrPromise

_M = TypeVar("_M", bound=Model)


def _no_obstacle(obj: Model) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Act(Generic[_M]):
    """Something that staff can do with one row.

    ``run`` does it and returns what to tell the person; ``offered`` says whether it makes
    sense now (the services have the last word), from the row alone; ``obstacle`` may look
    further and say why it cannot be done. ``grave`` marks what cannot be undone.
    """

    name: str
    label: _StrOrPromise
    question: _StrOrPromise
    run: Callable[[_M, User, Mapping[str, Any]], str]
    offered: Callable[[_M], bool]
    permission: str = RECONCILE
    form: type[ActForm] = ActForm
    grave: bool = False
    obstacle: Callable[[_M], _StrOrPromise] = _no_obstacle

    @property
    def is_direct(self) -> bool:
        """Whether one click may do it: nothing to fill in, nothing to regret."""
        return self.form is ActForm and not self.grave


@dataclass(frozen=True, slots=True)
class OfferedAct:
    """An act as a button: where it leads, whether by POST."""

    act: Act[Any]
    url: str


class ActsAdmin(ReadOnlyAdmin[_M]):
    """A read-only screen whose rows can be acted on."""

    acts: ClassVar[tuple[Act[Any], ...]] = ()

    def get_urls(self) -> list[URLPattern]:
        """Django's, and one for each act."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [
            path(
                "<path:object_id>/act/<slug:act>/",
                self.admin_site.admin_view(self.act_view),
                name=name,
            ),
            *super().get_urls(),
        ]

    def act_url(self, obj: Model, act: str) -> str:
        """Where ``act`` is done on ``obj``."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_act"
        return reverse(name, args=[obj.pk, act], current_app=self.admin_site.name)

    def object_url(self, obj: Model) -> str:
        """The page of ``obj``."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[obj.pk], current_app=self.admin_site.name)

    def offered_acts(
        self, request: HttpRequest, obj: Any, names: tuple[str, ...] | None = None
    ) -> list[OfferedAct]:
        """What this person can do with ``obj`` now; of ``names`` in their order, if given."""
        acts = self.acts
        if names is not None:
            acts = tuple(act for name in names for act in acts if act.name == name)
        return [
            OfferedAct(act, self.act_url(obj, act.name))
            for act in acts
            if act.offered(obj) and may(request, act.permission)
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """The page of one row, with what can be done about it."""
        context["offered_acts"] = [] if obj is None else self.offered_acts(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    # The services commit by themselves; a rollback would forget what PagoEfectivo did.
    @transaction.non_atomic_requests
    def act_view(self, request: HttpRequest, object_id: str, act: str) -> HttpResponse:
        """Show what an act would do; on POST do it."""
        chosen = next((each for each in self.acts if each.name == act), None)
        if chosen is None:
            raise Http404
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, obj) or not may(request, chosen.permission):
            raise PermissionDenied
        if obj is None:
            raise Http404
        if request.method == "POST":
            form = chosen.form(obj, request.POST)
            if form.is_valid():
                self._do(request, obj, chosen, form.cleaned_data)
                return self._back(request, obj)
        else:
            if not chosen.offered(obj):
                messages.warning(request, _("That is not possible now: %s") % obj)
                return self._back(request, obj)
            if obstacle := chosen.obstacle(obj):
                messages.warning(request, obstacle)
                return self._back(request, obj)
            form = chosen.form(obj)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": chosen.label,
            "opts": self.opts,
            "object": obj,
            "object_url": self.object_url(obj),
            "act": chosen,
            "form": form,
            "back": self._back_url(request, obj),
            "from_inbox": self._from_inbox(request),
            "facts": self.facts_for_act(request, obj, chosen),
            "candidates": self.candidates_for_act(request, obj, chosen),
        }
        return TemplateResponse(request, "django_pagoefectivo/admin/act.html", context)

    def facts_for_act(
        self, request: HttpRequest, obj: Any, act: Act[Any]
    ) -> list[tuple[_StrOrPromise, object]]:
        """What the person should see before deciding: names and values."""
        return []

    def candidates_for_act(
        self, request: HttpRequest, obj: Any, act: Act[Any]
    ) -> list[dict[str, object]]:
        """Answers to choose from, where the act asks for another row."""
        return []

    def _do(self, request: HttpRequest, obj: Any, act: Act[Any], data: Mapping[str, Any]) -> None:
        try:
            told = act.run(obj, staff_of(request), data)
        except PROBLEMS as error:
            problem = sentence(error)
            level = messages.WARNING if isinstance(error, AlreadyDone) else messages.ERROR
            messages.add_message(request, level, problem)
            self.log_change(request, obj, f"{act.label}: {problem}")
            return
        messages.success(request, told)
        self.log_change(request, obj, f"{act.label}: {told}")

    def _from_inbox(self, request: HttpRequest) -> bool:
        return "inbox" in (request.POST.get("from"), request.GET.get("from"))

    def _back_url(self, request: HttpRequest, obj: Model) -> str:
        if self._from_inbox(request):
            return reverse("admin:pagoefectivo_payment_inbox", current_app=self.admin_site.name)
        return self.object_url(obj)

    def _back(self, request: HttpRequest, obj: Model) -> HttpResponse:
        return HttpResponseRedirect(self._back_url(request, obj))
