"""``manage.py pagoefectivo_bulk``: do one thing to many payments, or go on with it."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...exceptions import InvalidTransition
from ...gateways.wire import LIMA
from ...logs import one_line
from ...models import BulkJob, JobState
from ...rights import RECONCILE
from ...services import jobs
from ...services.bulk_acts import MANY_ACTS
from ..selecting import add_selection, selection_from

_BAR = 30
_NAMED = 20


class Command(BaseCommand):
    """Run bulk jobs: a new one, a certain one, or all that wait."""

    help = (
        "Do one thing to many payments in the name of a member of staff: give the act, what "
        "to choose the payments by, and --user. With --job go on with a job that was begun; "
        "without anything run every job that waits, as a cron line does. It can be "
        "interrupted at any time: run it again and it goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "act",
            nargs="?",
            choices=list(MANY_ACTS),
            help="sync asks PagoEfectivo, extend moves the deadline, cancel deletes the codes, "
            "reconcile marks as reconciled.",
        )
        parser.add_argument("--job", type=int, help="Go on with the job of this number.")
        parser.add_argument("--user", default="", help="The account in whose name it is done.")
        parser.add_argument(
            "--expires-at",
            default="",
            metavar="MOMENT",
            help='extend: the new deadline in Lima time, as in "2026-01-31 23:59".',
        )
        add_selection(parser)
        parser.add_argument("--all", action="store_true", help="All payments there are.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Say how many payments it would be, and stop."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        if options["act"] and options["job"]:
            raise CommandError("Give an act for a new job, or --job for one that was begun.")
        if options["act"]:
            job = self._made(options)
            if job is not None:
                self._run(job, options["verbosity"])
        elif options["job"]:
            job = BulkJob.objects.filter(pk=options["job"]).first()
            if job is None:
                raise CommandError(f"There is no job {options['job']}.")
            self._run(job, options["verbosity"])
        else:
            self._run_all(options["verbosity"])

    def _run_all(self, verbosity: int) -> None:
        for job in list(jobs.due_jobs()):
            try:
                self._run(job, verbosity)
            except CommandError as error:
                # The others wait as well.
                self.stderr.write(f"Job {job.pk}: {error}")

    def _made(self, options: dict[str, Any]) -> BulkJob | None:
        selection = selection_from(options)
        if bool(selection.as_options()) == options["all"]:
            raise CommandError(
                "Say which payments, with --status, --merchant, --attention, --reconciled, "
                "--from-day or --to-day, or with --all."
            )
        payments = selection.payments()
        if options["dry_run"]:
            self.stdout.write(f"{payments.count()} payments.")
            return None
        user = get_user_model().objects.filter(**{self._name_field: options["user"]}).first()
        if user is None or not user.is_active or not user.has_perm(RECONCILE):
            raise CommandError(
                f"--user {options['user'] or '(missing)'}: give an active account that may "
                f"reconcile ({RECONCILE}); everything is done in its name."
            )
        deadline = self._deadline(options["expires_at"]) if options["act"] == "extend" else None
        try:
            return jobs.make_job(options["act"], payments, user=user, expires_at=deadline)
        except InvalidTransition as error:
            raise CommandError(str(error)) from None

    @property
    def _name_field(self) -> str:
        return str(get_user_model().USERNAME_FIELD)

    def _deadline(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise CommandError(
                f'--expires-at {text or "(missing)"}: write it as in "2026-01-31 23:59".'
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=LIMA)
        if moment <= timezone.now():
            raise CommandError(f"--expires-at {text}: the deadline must be in the future.")
        return moment

    def _run(self, job: BulkJob, verbosity: int) -> None:
        if verbosity:
            what = job.file_name or f"{job.total} payments"
            self.stdout.write(f"Job {job.pk}: {job.get_act_display()}, {what}.")
        showing = bool(verbosity) and self.stderr.isatty()
        try:
            job = jobs.run(job.pk, progress=self._progress if showing else None)
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted. What is done stays done; go on with: "
                f"manage.py pagoefectivo_bulk --job {job.pk}"
            ) from None
        finally:
            if showing:
                self.stderr.write("")
        if verbosity:
            self._summary(job)
        if job.state == JobState.BROKEN:
            raise CommandError(job.error)

    def _summary(self, job: BulkJob) -> None:
        if job.state == JobState.RUNNING:
            self.stdout.write("Another process works on it.")
        self.stdout.write(f"{job.done} done, {job.failed} not done, {job.total} in all.")
        named = jobs.failures_of(job, _NAMED)
        for payment, problem in named:
            self.stdout.write("  " + one_line(f"{payment}: {problem}" if payment else problem))
        if job.failed > len(named):
            self.stdout.write("The job's page in the admin names them all.")

    def _progress(self, job: BulkJob) -> None:
        done = _BAR * job.worked // (job.total or 1)
        bar = "█" * done + "·" * (_BAR - done)
        self.stderr.write(f"\r{bar} {job.worked}/{job.total}", ending="")
