"""What the screens have in common: nothing can be edited, no list reads a whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..rights import PERSONAL_DATA, RECONCILE, may
from .keys import key_of
from .paging import BoundedChangeList, BoundedPaginator

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.contrib.admin.views.main import ChangeList
    from django.utils.functional import _StrOrPromise

_M = TypeVar("_M", bound=Model)
#: Django's words, in Django's own catalogues.
_BOX_LABEL = "Select this object for an action - {}"
_NOTHING_CHOSEN = (
    "Items must be selected in order to perform actions on them. No items have been changed."
)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin, Generic[_M]):
        """Django's, which cannot be subscripted."""


class ReadOnlyAdmin(_ModelAdmin[_M]):
    """A screen to look at: what changes a row goes through the services.

    ``list_parameters`` are all the query parameters the list takes. Any other would let
    people filter by columns that they may not see, or that no index covers.
    """

    actions_selection_counter = True
    #: Drawing a row takes longer than finding it: as many as a full page may take.
    list_per_page = 40
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    sortable_by: ClassVar[tuple[str, ...]] = ()
    list_parameters: ClassVar[frozenset[str]] = frozenset()
    #: Columns that only the page of one row needs.
    deferred_in_list: ClassVar[tuple[str, ...]] = ()
    #: What the search box takes, with and without the right to see personal data.
    search_help: ClassVar[_StrOrPromise] = ""
    search_help_personal: ClassVar[_StrOrPromise] = ""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows come from services only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A hand-edit would break what the services promise."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened to money is not deleted."""
        return False

    def has_reconcile_permission(self, request: HttpRequest) -> bool:
        """What actions with ``permissions=["reconcile"]`` ask for."""
        return may(request, RECONCILE)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only what ``list_parameters`` names."""
        return lookup in self.list_parameters

    def get_queryset(self, request: HttpRequest) -> QuerySet[_M]:
        """All rows; in the list without the columns that it does not show."""
        rows = super().get_queryset(request)
        match = request.resolver_match
        if self.deferred_in_list and match and (match.url_name or "").endswith("_changelist"):
            return rows.defer(*self.deferred_in_list)
        return rows

    def action_checkbox(self, obj: _M) -> SafeString:
        """Django's box for actions without its template, a quarter of what a list costs."""
        label = translation.gettext(_BOX_LABEL).format(obj)
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            label,
        )

    def one_of(self, request: HttpRequest, rows: QuerySet[_M], object_id: str) -> _M:
        """The row that an address names, for whoever may look.

        Raises ``PermissionDenied`` for others, whether or not it is there, and ``Http404``.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        key = key_of(object_id)
        found = None if key is None else rows.filter(pk=key).first()
        if found is None:
            raise Http404
        return found

    def lookup_for(self, term: str, *, email: bool) -> Q:
        """The rows that a search for ``term`` finds, by e-mail too if ``email``."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for the term as a whole, in a list that has a search box."""
        term = search_term.strip().replace("\x00", "")
        if term and self.get_search_fields(request):
            email = may(request, PERSONAL_DATA)
            queryset = queryset.filter(self.lookup_for(term, email=email))
        return queryset, False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list that sorts by indexed columns only."""
        return BoundedChangeList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, with the search's help by the person's rights."""
        changelist = super().get_changelist_instance(request)
        whole = may(request, PERSONAL_DATA) and self.search_help_personal
        changelist.search_help_text = str(self.search_help_personal if whole else self.search_help)
        return changelist

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Carry an action out; none on boxes that the list has not."""
        across = request.POST.get("select_across", "0") not in ("", "0")
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not across and any(key_of(key) is None for key in chosen):
            messages.warning(request, translation.gettext(_NOTHING_CHOSEN))
            return None
        return super().response_action(request, queryset, *args, **kwargs)

    # An action commits row by row: under ATOMIC_REQUESTS the last failure would undo what
    # PagoEfectivo was told about the others.
    @transaction.non_atomic_requests
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list and its actions."""
        return super().changelist_view(request, extra_context)


def page_of(site: AdminSite, request: HttpRequest, model: type[Model], pk: object) -> str:
    """Where that row is shown in this admin, ``""`` if the person cannot see it there."""
    if not site.is_registered(model):
        return ""
    model_admin = site.get_model_admin(model)
    if not model_admin.has_view_permission(request):
        return ""
    opts = model_admin.opts
    name = f"admin:{opts.app_label}_{opts.model_name}_change"
    return reverse(name, args=[pk], current_app=site.name)


def link_to(site: AdminSite, request: HttpRequest, obj: Model) -> str:
    """Where ``obj`` is shown in this admin, ``""`` if the person cannot see it there."""
    return page_of(site, request, type(obj), obj.pk)
