"""What is forgotten, and by whom: `portal purge` and the nightly job go through this one list."""

from collections.abc import Callable, Mapping

from opendata import consumers, deltas, lists, usage
from partners import callbacks, signatures
from partners import uploads as batches
from portal.kit import access, idempotency, jobs
from record import follow, uploads
from reporting import files, floods
from reporting import retention as tips

FORGET: Mapping[str, Callable[[], int]] = {
    "jobs": jobs.purge,
    "answers": idempotency.purge,
    "access_days": access.purge,
    "unconfirmed_followers": follow.purge,
    "uploads": uploads.purge,
    "spent_proofs": floods.purge,
    "files_never_sent": files.purge,
    "tips": tips.erase_due,
    "batches": batches.purge,
    "callbacks": callbacks.purge,
    "signatures": signatures.purge,
    "matched_lists": lists.purge,
    "daily_changes": deltas.purge,
    "consumers_without_a_key": consumers.purge,
    "counts_of_use": usage.purge,
}
"""What is kept for a time only, and what forgets it and says how much."""


def apply() -> dict[str, int]:
    """Forget what need not be kept any longer. Returns how much of each."""
    return {name: forget() for name, forget in FORGET.items()}
