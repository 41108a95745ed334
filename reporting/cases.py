"""Cases: one matter at the desk, from the day it came to the day it is closed.

    report (举报):     received → verifying → filed → decided → closed
                                          ↘ not_filed ↗
    complaint (投诉):  received → accepted → mediating → mediated | failed → closed
                               ↘ refused ↗

Every step is kept: a row that says who and why, and an act in the ledger that says no more than which case. Who may see
a case at all: officers of its department, within their district.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session
from stdnum.iso7064 import mod_11_10

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, masking, outcomes, publication
from record.codes import Labels
from record.kinds import FINDINGS, Finding
from record.outcomes import Outcome
from reporting import clock, rules
from reporting.matters import SERVICES
from reporting.models import NEVER, CaseStep, CaseSuspension, Kind, State, Tip, TipCase, Via
from reporting.rules import Duty

MOST_CASES = 2**31 - 1
"""The highest number that the table has room for."""

PUBLIC: Mapping[State, tuple[str, str, str, str]] = {
    "received": ("已收到", "Received", "已进入处理队列，尚未开始核查。", "It is in the queue; nobody has begun yet."),
    "verifying": ("核查中", "Being verified", "工作人员正在核查。", "Officers are looking into it."),
    "filed": ("已立案", "A case was opened", "已立案，正在调查处理。", "There is enough to go on; it is investigated."),
    "not_filed": (
        "不予立案",
        "No case was opened",
        "经核查，依法不予立案，理由见工作人员的答复。",
        "After verifying, no case was opened. The officer's message says why.",
    ),
    "decided": ("已作出决定", "Decided", "已作出处理决定。", "It has been decided what is done about it."),
    "accepted": ("已受理", "Accepted", "投诉已受理，将组织调解。", "The complaint was accepted and goes to mediation."),
    "refused": (
        "不予受理",
        "Not accepted",
        "投诉依法不予受理，理由见工作人员的答复。",
        "The complaint was not accepted. The officer's message says why.",
    ),
    "mediating": ("调解中", "In mediation", "正在组织双方调解。", "The regulator is mediating between you."),
    "mediated": ("调解成功", "Agreement reached", "双方已达成调解协议。", "You have come to an agreement."),
    "failed": (
        "调解终止",
        "No agreement",
        "未达成一致，调解已终止；您仍可通过仲裁或者诉讼解决。",
        "There was no agreement. Arbitration and the courts remain open to you.",
    ),
    "closed": ("已办结", "Closed", "已办结；如有新情况可在此补充。", "It is closed. If something is new, add it here."),
}  # fmt: skip
"""For reporters: our state -> word and sentence, in Chinese and in English."""


class CaseMovedOn(PortalError):
    status = 409
    slug = "case-moved-on"
    title = "This step is not open: the case has moved on."
    remedy = "Open the case again and see how far it is."


class NotYourCase(PortalError):
    status = 403
    slug = "not-your-case"
    title = "This case is with another department or district."
    remedy = "Ask whoever it is with to transfer it to you."


class CaseReasonMissing(PortalError):
    status = 422
    slug = "case-reason-missing"
    title = "The reason is missing."
    remedy = "Say in a sentence why; it stays with the case."


class TellFirst(PortalError):
    status = 409
    slug = "tell-first"
    title = "The reporter has not been told yet, and the law asks for it."
    remedy = "Write to the reporter, enter that it was done, then close the case."


class AnswerFirst(PortalError):
    status = 409
    slug = "answer-first"
    title = "A work order of the hotline is not answered yet."
    remedy = "Answer it, enter that it was done, then close the case."


class BasisMissing(PortalError):
    status = 422
    slug = "basis-missing"
    title = "A decision needs what was done, and its legal basis."
    remedy = "Name the measures, and law and article."


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is known when a tip arrives, without anything that its reporter wrote."""

    kind: Kind
    via: Via
    service: str
    entity_code: str | None
    district: str | None
    department: str
    named: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step that an officer may take."""

    labels: tuple[str, str]
    kinds: tuple[Kind, ...]
    at: tuple[State, ...]
    to: State | None
    """None: the state stays."""
    days: Mapping[str, bool | None] = field(default_factory=dict)
    """Columns that become today (True) or empty (None)."""
    pursued: bool | None = None
    reasoned: bool = False
    """A reason is asked for."""


_BOTH: tuple[Kind, ...] = ("report", "complaint")
_ANEW: Mapping[str, bool | None] = {
    "reopened_on": True, "settled_on": None, "decided_on": None, "told_on": None, "answered_on": None,
    "closed_on": None,
}  # fmt: skip
STEPS: Mapping[str, Step] = {
    "verify": Step(("开始核查", "Begin to verify"), ("report",), ("received",), "verifying"),
    "file": Step(
        ("立案", "Open a case"), ("report",), ("received", "verifying"), "filed", {"settled_on": True}, pursued=True
    ),
    "not_file": Step(
        ("不予立案", "Open no case"), ("report",), ("received", "verifying"), "not_filed", {"settled_on": True},
        pursued=False, reasoned=True,
    ),
    "accept": Step(
        ("受理", "Accept"), ("complaint",), ("received",), "accepted", {"settled_on": True}, pursued=True
    ),
    "refuse": Step(
        ("不予受理", "Do not accept"), ("complaint",), ("received",), "refused", {"settled_on": True}, pursued=False,
        reasoned=True,
    ),
    "mediate": Step(("开始调解", "Begin mediation"), ("complaint",), ("accepted",), "mediating"),
    "settle": Step(
        ("达成协议", "Agreement reached"), ("complaint",), ("accepted", "mediating"), "mediated", {"decided_on": True}
    ),
    "fail": Step(
        ("终止调解", "End mediation without agreement"), ("complaint",), ("accepted", "mediating"), "failed",
        {"decided_on": True}, reasoned=True,
    ),
    "tell": Step(
        ("已告知举报人或投诉人", "The reporter was told"), _BOTH,
        ("filed", "not_filed", "refused", "decided", "mediated", "failed"), None, {"told_on": True},
    ),
    "answer": Step(
        ("已答复12345工单", "The hotline's order was answered"), _BOTH, tuple(s for s in PUBLIC if s != "closed"), None,
        {"answered_on": True},
    ),
    "close": Step(
        ("办结", "Close"), _BOTH, ("not_filed", "decided", "refused", "mediated", "failed"), "closed",
        {"closed_on": True},
    ),
    "reopen": Step(
        ("重新办理", "Reopen"), _BOTH, ("closed", "not_filed", "refused", "failed", "decided"), "received", _ANEW,
        reasoned=True,
    ),
}  # fmt: skip
"""Our name -> the step. Deciding a report has its own function, `decide`."""

STEP_LABELS: Labels = {
    **{name: step.labels for name, step in STEPS.items()},
    "receive": ("收到", "Received"),
    "decide": ("作出决定", "Decided"),
    "assign": ("分派", "Assigned"),
    "transfer": ("移送", "Transferred"),
    "merge": ("并案", "Merged"),
    "unmerge": ("分案", "Separated again"),
    "suspend": ("中止计时", "Clock stopped"),
    "resume": ("恢复计时", "Clock runs on"),
    "extension_ask": ("申请延期", "Longer period asked for"),
    "extension_grant": ("批准延期", "Longer period granted"),
    "extension_decline": ("不批准延期", "Longer period declined"),
}


# ---- numbers --------------------------------------------------------------------------------------------------------


def number_of(case: TipCase) -> str:
    """The public number of a case, with a check digit (ISO 7064, mod 11, 10): `2026-0000123-7`. It opens nothing."""
    body = f"{case.received_on.year}{case.id:07d}"
    return f"{body[:4]}-{body[4:]}-{mod_11_10.calc_check_digit(body)}"


def by_number(session: Session, number: str) -> TipCase | None:
    """The case with this public number, however it is spaced; None for what is none."""
    digits = "".join(char for char in number if char.isascii() and char.isdigit())
    if not 12 <= len(digits) <= 15 or not mod_11_10.is_valid(digits) or int(digits[4:-1]) > MOST_CASES:
        return None
    case = session.get(TipCase, int(digits[4:-1]))
    return case if case and f"{case.received_on.year}" == digits[:4] else None


# ---- arriving and reading -------------------------------------------------------------------------------------------


def receive(session: Session, arrived: Arrived, *, on: date | None = None) -> TipCase:
    """Open a case for a tip that arrived. Its clocks run by the rules of that day for good."""
    day = on or publication.today()
    case = TipCase(
        kind=arrived.kind, via=arrived.via, service=arrived.service if arrived.service in SERVICES else "other",
        entity_code=arrived.entity_code, district=arrived.district, department=arrived.department, state="received",
        rule_set=rules.rule_set(day), named=arrived.named, received_on=day, changed_at=db.now(), urgent_on=NEVER,
        provisional=False, was_late=False,
    )  # fmt: skip
    session.add(case)
    session.flush()
    note(session, case, None, "receive", before=None)
    clock.set_due(session, case)
    session.flush()
    return case


def within(officer: Officer) -> list[ColumnElement[bool]]:
    """What confines a query to cases that the officer's account reaches."""
    reach: list[ColumnElement[bool]] = [TipCase.department == officer.department]
    if officer.district:
        reach.append(TipCase.district == officer.district)
    return reach


def get(session: Session, officer: Officer, number: int, *, to_change: bool = False) -> TipCase:
    """One case, nobody else's to change meanwhile if asked. Raises NotFound, NotYourCase."""
    # Read again under the lock: a page may have looked at it before, in this very session.
    case = session.get(TipCase, number, with_for_update=to_change, populate_existing=to_change)
    if case is None:
        raise NotFound
    if not officer.covers(department=case.department, district=case.district):
        raise NotYourCase
    return case


def mirrored(session: Session, case: TipCase) -> TipCase:
    """The case whose state counts: the one that this one repeats, or itself."""
    return session.get_one(TipCase, case.merged_into) if case.merged_into else case


def tips_of(session: Session, case: TipCase) -> list[Tip]:
    """What every reporter of the matter sent, those of repeats included, first come first."""
    numbers = select(TipCase.id).where((TipCase.id == case.id) | (TipCase.merged_into == case.id))
    return list(session.scalars(select(Tip).where(Tip.case_id.in_(numbers)).order_by(Tip.rank, Tip.id).limit(500)))


def steps_of(session: Session, case: TipCase, *, limit: int = 200) -> Sequence[CaseStep]:
    """What was done in a case, the newest first."""
    asked = select(CaseStep).where(CaseStep.case_id == case.id).order_by(CaseStep.id.desc())
    return session.scalars(asked.limit(limit)).all()


def steps_open(session: Session, case: TipCase) -> list[str]:
    """The steps that may be taken now."""
    owed = _owed(session, case)
    found = [name for name, step in STEPS.items() if _is_open(case, name, step, owed)]
    return [name for name in found if name != "close" or not (owed["tell"] or owed["answer"])]


_DUTIES_OF: Mapping[str, tuple[Duty, ...]] = {"tell": ("tell_filing", "tell_end"), "answer": ("answer",)}
"""Steps that are done for each reporter of the matter, and only where the law asks for them."""


def _owed(session: Session, case: TipCase) -> dict[str, list[TipCase]]:
    """For each step of _DUTIES_OF the cases of the matter, repeats included, that it is still owed in."""
    matter = clock.of_matter(session, case)
    return {
        name: [one for one, clocks in matter if any(c.duty in duties and c.done_on is None for c in clocks)]
        for name, duties in _DUTIES_OF.items()
    }


def _is_open(case: TipCase, name: str, step: Step, owed: Mapping[str, Sequence[TipCase]]) -> bool:
    if case.merged_into or case.erased_on or case.kind not in step.kinds or case.state not in step.at:
        return False
    return name not in owed or bool(owed[name])


# ---- steps ----------------------------------------------------------------------------------------------------------


def take(session: Session, officer: Officer, number: int, name: str, reason: str = "") -> TipCase:
    """Take one step of STEPS. Comes last in its transaction.

    Raises NotFound, NotYourCase, CaseMovedOn, CaseReasonMissing, TellFirst, AnswerFirst.
    """
    case = change(session, officer, number, name, reason)
    keep(session, case, officer, name)
    return case


def change(session: Session, officer: Officer, number: int, name: str, reason: str = "") -> TipCase:
    """What `take` does, without the act in the ledger: many at once share one."""
    step = STEPS.get(name)
    if step is None:
        raise NotFound
    case = get(session, officer, number, to_change=True)
    owed = _owed(session, case)
    if not _is_open(case, name, step, owed):
        raise CaseMovedOn
    if step.reasoned and len(reason.strip()) < 5:
        raise CaseReasonMissing
    if name == "close" and owed["tell"]:
        raise TellFirst
    if name == "close" and owed["answer"]:
        raise AnswerFirst
    before = case.state
    for one in owed.get(name, [case]):
        _set_days(one, step)
    if step.pursued is not None or name == "reopen":
        case.pursued = step.pursued
    if name == "reopen":
        _begin_anew(session, case)
    if "settled_on" in step.days or "decided_on" in step.days:
        run_on(session, case)
    case.state = step.to or case.state
    note(session, case, officer, name, reason, before=before)
    clock.set_due(session, case)
    return case


def _set_days(case: TipCase, step: Step) -> None:
    for column, becomes in step.days.items():
        setattr(case, column, publication.today() if becomes else None)


def _begin_anew(session: Session, case: TipCase) -> None:
    case.finding = case.measures = case.basis = None
    case.penalty_seq = None
    repeats = update(TipCase).where(TipCase.merged_into == case.id)
    session.execute(repeats.values(told_on=None, answered_on=None))


def run_on(session: Session, case: TipCase) -> None:
    """End what the clocks of a case stand still for, if they do: it was for a duty that is over now."""
    lasting = update(CaseSuspension).where(CaseSuspension.case_id == case.id, CaseSuspension.until.is_(None))
    session.execute(lasting.values(until=publication.today()))


@dataclass(frozen=True, slots=True)
class Decision:
    """What an officer decides on a report."""

    finding: Finding
    measures: str
    """What was done, in words that may be published: never who told."""
    basis: str
    """Law and article."""
    penalty_seq: int | None = None
    """The entry of the penalty that it led to."""


def decide(session: Session, officer: Officer, number: int, decision: Decision) -> TipCase:
    """Decide a report that was filed; what came of it goes into the record. Comes last in its transaction.

    Raises CaseMovedOn, BasisMissing, outcomes' refusals.
    """
    case = get(session, officer, number, to_change=True)
    if case.merged_into or case.kind != "report" or case.state != "filed":
        raise CaseMovedOn
    measures, basis = (masking.masked(text.strip()) for text in (decision.measures, decision.basis))
    if decision.finding not in FINDINGS or not 5 <= len(measures) <= 2_000 or not 3 <= len(basis) <= 2_000:
        raise BasisMissing
    if decision.penalty_seq is not None and case.entity_code is None:
        raise outcomes.PenaltyNotShown
    case.finding, case.measures, case.basis = decision.finding, measures, basis
    case.penalty_seq, case.decided_on = decision.penalty_seq, publication.today()
    case.state = "decided"
    run_on(session, case)
    note(session, case, officer, "decide", before="filed")
    clock.set_due(session, case)
    session.flush()
    if case.entity_code:
        case.outcome_seq = outcomes.append(
            session,
            Outcome(
                reference=number_of(case), entity_code=case.entity_code, decided_on=case.decided_on,
                matter=SERVICES[case.service].name[0], finding=decision.finding, measures=measures, basis=basis,
                authority=case.department, penalty_seq=decision.penalty_seq,
            ),
        )  # fmt: skip
    keep(session, case, officer, "decide", {"finding": decision.finding})
    return case


def note(
    session: Session, case: TipCase, officer: Officer | None, step: str, reason: str = "", *, before: State | None
) -> None:
    """Write down one step of a case, personal numbers in the reason hidden."""
    case.changed_at = db.now()
    said = masking.masked(reason.strip())[:2_000] or None
    session.add(
        CaseStep(
            case_id=case.id,
            officer_id=officer.id if officer else None,
            step=step,
            reason=said,
            from_state=before,
            to_state=case.state,
            at=case.changed_at,
        )
    )


def keep(session: Session, case: TipCase, officer: Officer, step: str, details: dict[str, str] | None = None) -> None:
    """Append the act to the ledger: which case, and never what it says."""
    session.flush()
    acts.keep(session, f"tip_{step}", about=f"tip case {number_of(case)}", by=officer, details=details)
