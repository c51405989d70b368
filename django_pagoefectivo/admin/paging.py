"""Pages of a list that may have a million rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

MOST_ROWS = 10_000

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class BoundedPaginator(_Paginator):
    """Counts no further than ``MOST_ROWS``: nobody pages further, and counting costs."""

    @cached_property
    def _rows(self) -> int:
        return bounded_count(self.object_list, MOST_ROWS)

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        return min(self._rows, MOST_ROWS)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self._rows > MOST_ROWS


class BoundedChangeList(ChangeList):
    """Sorts by the columns of ``sortable_by`` only; Django just hides the others' links."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Django's; for a value that PostgreSQL refuses the whole list, as for any wrong one."""
        given = self.get_filters_params().values()
        if any("\x00" in value for values in given for value in values):
            raise IncorrectLookupParameters
        return super().get_filters(request)

    def get_ordering_field(self, field_name: Any) -> Any:
        """What to sort by for a column; ``None`` if it cannot be sorted by."""
        if field_name not in (self.sortable_by or ()):
            return None
        return super().get_ordering_field(field_name)


def bounded_count(rows: QuerySet[Any] | Any, most: int) -> int:
    """How many ``rows`` there are, at most ``most`` + 1; reads no more than that."""
    return int(rows.order_by()[: most + 1].count())
