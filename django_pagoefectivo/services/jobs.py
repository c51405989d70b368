"""Bulk jobs: work that outlives the request, the worker and the machine.

It is done to many payments, step by step, or with a large file, in one step.

A job's rows are the queue. Whoever runs one holds its lease and notes every step, so that
a job whose process died is taken up again where it stopped, by whoever comes first.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..exceptions import InvalidTransition
from ..logs import logger_for
from ..models import BulkAct, BulkJob, BulkJobPart, JobState, Payment
from ..rights import RECONCILE
from .batches import in_batches
from .bulk_acts import MANY_ACTS, ManyAct, Tally
from .claims import is_dead, own_identity
from .job_starters import start_by, starter
from .statement_files import StatementError
from .statement_jobs import import_upload, upload_of
from .transactions import repeated_alone, repeated_on_conflict

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logger_for("django_pagoefectivo.jobs")

#: Longer than any one step, which a few calls with their timeouts may take.
LEASE = timedelta(minutes=10)
#: Longer than any import, which is one step: millions of lines, a thousand a second on a bad day.
IMPORT_LEASE = timedelta(hours=6)
#: Seconds that the calls of one step wait for their turn where ``POLL_RATE`` is used up. What
#: is left of the lease is for the calls themselves.
_PATIENCE = LEASE.total_seconds() / 2
#: Payments in one part.
PART = 100
_PARTS_AT_ONCE = 100

Progress = Callable[[BulkJob], None]


class _LeaseLost(Exception):
    """Somebody stopped the job, or took it for dead and goes on with it."""


# -- making ----------------------------------------------------------------------------------


def make_job(
    act: str,
    payments: QuerySet[Payment],
    *,
    user: User,
    expires_at: datetime | None = None,
) -> BulkJob:
    """A queued job that does ``act`` (of ``MANY_ACTS``) to ``payments`` in the name of ``user``.

    The payments are those that ``payments`` gives now. ``expires_at``, aware, is the new
    deadline that ``extend`` needs. Raises ``InvalidTransition`` without one, or where there
    are no payments.
    """
    if act == BulkAct.EXTEND and expires_at is None:
        raise InvalidTransition(_("Give the new deadline."))
    options = {} if expires_at is None else {"expires_at": expires_at.isoformat()}
    with transaction.atomic():
        job = BulkJob.objects.create(
            act=act, options=options, user=user, user_name=user.get_username()
        )
        parts: list[BulkJobPart] = []
        for number, batch in enumerate(in_batches(payments.only("pk"), PART)):
            ids = [payment.pk for payment in batch]
            parts.append(BulkJobPart(job=job, number=number, payment_ids=ids))
            job.total += len(ids)
            if len(parts) == _PARTS_AT_ONCE:
                BulkJobPart.objects.bulk_create(parts)
                parts = []
        if not job.total:
            raise InvalidTransition(_("There is no such payment."))
        BulkJobPart.objects.bulk_create(parts)
        job.save(update_fields=("total",))
    return job


def enqueue(job: BulkJob) -> None:
    """Have ``job`` worked on as ``BACKGROUND`` says, after the running transaction's commit.

    A queue that is away is logged and no error: the job stays queued, and
    ``pagoefectivo_bulk`` finds it. Raises ``ImproperlyConfigured`` for a wrong setting.
    """
    start = starter()
    if start is not None:
        pk = job.pk
        transaction.on_commit(lambda: start_by(start, pk))


# -- running ---------------------------------------------------------------------------------


def due_jobs() -> QuerySet[BulkJob]:
    """The jobs that wait for somebody to work on them, the oldest first."""
    return _free().order_by("pk")


def run(job_id: int, *, progress: Progress | None = None) -> BulkJob:
    """Work on a job to its end, or until somebody stops it; returns it as it is then.

    ``progress`` is told after every step. A job that is over, or that another process works
    on, is left alone. Raises ``BulkJob.DoesNotExist``. An interruption leaves it queued.
    """
    job = _claimed(job_id)
    if job is None:
        return BulkJob.objects.get(pk=job_id)
    try:
        _work(job, progress)
    except _LeaseLost:
        logger.info("Bulk job %s was stopped or taken over.", job.pk)
    except Exception as error:
        logger.exception("Bulk job %s broke off.", job.pk)
        text = _("It broke off with %s. What is done stays done; the log says more.")
        _end(job, JobState.BROKEN, text % type(error).__name__)
        raise
    except BaseException:
        _held(job).update(state=JobState.QUEUED, lease=None, leased_until=None)
        raise
    job.refresh_from_db()
    return job


def stop(job: BulkJob) -> bool:
    """Stop ``job`` after the step it is at; whether it was still to be stopped."""
    to_stop = BulkJob.objects.filter(pk=job.pk, state__in=(JobState.QUEUED, JobState.RUNNING))
    over = {"state": JobState.STOPPED, "finished_at": timezone.now()}
    stopped = repeated_alone(partial(to_stop.update, **over, lease=None, leased_until=None))
    job.refresh_from_db()
    return bool(stopped)


def resume(job: BulkJob) -> bool:
    """Queue a job again that was stopped or broke off; whether it was one."""
    job.refresh_from_db()
    queued = job.can_resume and BulkJob.objects.filter(pk=job.pk, state=job.state).update(
        state=JobState.QUEUED, finished_at=None, error=""
    )
    job.refresh_from_db()
    if queued:
        enqueue(job)
    return bool(queued)


def _free() -> QuerySet[BulkJob]:
    """Jobs that nobody works on: queued, or their worker is gone."""
    running = BulkJob.objects.filter(state=JobState.RUNNING)
    holders = running.values_list("leased_by", flat=True).distinct()
    dead = [holder for holder in holders if is_dead(holder)]
    gone = Q(leased_until__lte=timezone.now()) | Q(leased_by__in=dead)
    return BulkJob.objects.filter(Q(state=JobState.QUEUED) | (Q(state=JobState.RUNNING) & gone))


def _claimed(job_id: int) -> BulkJob | None:
    lease = uuid.uuid4()
    mine = {
        "state": JobState.RUNNING,
        "lease": lease,
        "leased_by": own_identity(),
        "leased_until": timezone.now() + LEASE,
    }
    claimed = repeated_alone(partial(_free().filter(pk=job_id).update, **mine))
    return BulkJob.objects.select_related("user").get(pk=job_id) if claimed else None


def _held(job: BulkJob) -> QuerySet[BulkJob]:
    """The job, if this run still holds it."""
    return BulkJob.objects.filter(pk=job.pk, lease=job.lease, state=JobState.RUNNING)


def _end(job: BulkJob, state: JobState, error: str = "", **noted: Any) -> bool:
    """End the job, if this run still holds it, and say whether it did."""
    over = {"state": state, "error": error, "finished_at": timezone.now(), **noted}
    return bool(repeated_alone(partial(_held(job).update, **over, lease=None, leased_until=None)))


@dataclass(slots=True)
class _Run:
    """One run of a job."""

    job: BulkJob
    act: ManyAct
    user: User
    data: Mapping[str, Any]
    progress: Progress | None
    #: Whether the process before may have died between an act and its note.
    is_doubtful: bool = True


def _work(job: BulkJob, progress: Progress | None) -> None:
    user = job.user
    if user is None or not user.is_active or not user.has_perm(RECONCILE):
        text = (
            _("%s may not do this any more. Import the file again in your own name.")
            if job.act == BulkAct.IMPORT
            else _("%s may not do this any more. Choose the payments again in your own name.")
        )
        _end(job, JobState.BROKEN, text % (job.user_name or _("Somebody")))
        return
    if job.act == BulkAct.IMPORT:
        _import(job, user)
        return
    data: dict[str, Any] = {
        name: datetime.fromisoformat(value) for name, value in job.options.items()
    }
    data["patience"] = _PATIENCE
    this = _Run(job, MANY_ACTS[job.act], user, data, progress)
    while part := job.parts.filter(is_worked=False).order_by("number").first():
        while part.position < len(part.payment_ids):
            _step(this, part)
        BulkJobPart.objects.filter(pk=part.pk).update(is_worked=True)
    _end(job, JobState.DONE)


def _import(job: BulkJob, user: User) -> None:
    """Import the job's file, which is gone only once its end is noted."""
    upload = upload_of(job)
    rest = {name: value for name, value in job.options.items() if name != "upload"}
    repeated_alone(partial(_held(job).update, leased_until=timezone.now() + IMPORT_LEASE))
    try:
        statement = import_upload(job, user, partial(_must_hold, job))
    except StatementError as error:
        is_noted = _end(job, JobState.BROKEN, str(error), options=rest)
    else:
        lines = statement.line_count
        noted: dict[str, Any] = {
            "options": rest | {"statement": statement.pk},
            "total": lines,
            "done": lines,
        }
        # Stopped behind the last line: what is done is noted all the same.
        stopped = BulkJob.objects.filter(pk=job.pk, state=JobState.STOPPED, lease=None)
        is_noted = _end(job, JobState.DONE, **noted) or bool(stopped.update(**noted))
    if is_noted:
        upload.drop()


def _must_hold(job: BulkJob) -> None:
    if not _held(job).exists():
        raise _LeaseLost


def _step(this: _Run, part: BulkJobPart) -> None:
    ids = part.payment_ids[part.position : part.position + this.act.chunk]
    payments = list(Payment.objects.filter(pk__in=ids).order_by("pk"))
    tally = Tally()
    if len(payments) < len(ids):
        missing = len(ids) - len(payments)
        tally.fail(_("It does not exist any more."), count=missing)
    if this.is_doubtful:
        payments = _not_done_before(this, payments, tally)
        this.is_doubtful = False
    if payments:
        this.act.work(payments, tally, this.user, this.data)
    _note(this.job, part, len(ids), tally)
    if this.progress is not None:
        this.progress(this.job)


def _not_done_before(this: _Run, payments: Sequence[Payment], tally: Tally) -> list[Payment]:
    since = this.job.created_at
    rest = [each for each in payments if not this.act.was_done(each, this.user, since)]
    tally.done += len(payments) - len(rest)
    return rest


def _note(job: BulkJob, part: BulkJobPart, count: int, tally: Tally) -> None:
    """Write down a step, and with it that this run is alive."""
    part.position += count
    part.failed += tally.failed
    part.failures += [list(failure) for failure in tally.failures]

    def write() -> int:
        held = _held(job).update(
            done=F("done") + tally.done,
            failed=F("failed") + tally.failed,
            leased_until=timezone.now() + LEASE,
        )
        # What was done is noted even if the job was stopped meanwhile; only a run that
        # another one has taken over must not write into that one's part.
        if not held and not _stopped(job, tally):
            raise _LeaseLost
        part.save(update_fields=("position", "failed", "failures"))
        return held

    held = repeated_on_conflict(write)
    job.done += tally.done
    job.failed += tally.failed
    if not held:
        raise _LeaseLost


def _stopped(job: BulkJob, tally: Tally) -> int:
    return BulkJob.objects.filter(pk=job.pk, state=JobState.STOPPED, lease=None).update(
        done=F("done") + tally.done, failed=F("failed") + tally.failed
    )


# -- looking ---------------------------------------------------------------------------------


def failures_of(job: BulkJob, most: int) -> list[tuple[Payment | None, str]]:
    """At most ``most`` payments of ``job`` that were not done, and why; the oldest first.

    The payment is ``None`` where a sentence is about several.
    """
    found: list[tuple[int | None, str]] = []
    parts = job.parts.filter(failed__gt=0).order_by("number")
    for failures in parts.values_list("failures", flat=True)[:most]:
        found += [(pk, problem) for pk, problem in failures]
    found = found[:most]
    payments = Payment.objects.in_bulk([pk for pk, _problem in found if pk is not None])
    return [(payments.get(pk) if pk is not None else None, problem) for pk, problem in found]
