"""Rewards for reports (举报奖励): proposed by one officer, approved by another, claimed with receipt and word.

    proposed → offered → claimed → paid          from 500,000 yuan on the finance bureau agrees in between
             ↘ declined

Grade, share, least and most are the rule in force on the day of the proposal (`reporting.rules.rewards`).
"""

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from portal.kit.formats import date_text
from record import acts, publication
from record.codes import Labels
from record.workdays import Calendar
from reporting import cases, rules, talk
from reporting.models import Reward, Tip, TipCase
from reporting.vault import Receipt

MOST_WRONG_WORDS = 5

CONDITIONS: Labels = {
    "major": ("属于重大违法行为，案件已查实并作出处罚决定", "A major violation, proven, and decided with a penalty"),
    "concrete": (
        "举报有明确的被举报对象、具体违法事实或者线索，且事先未被掌握",
        "Named whom and what, and nobody knew of it before",
    ),
    "first": ("最先举报，或者补充的线索对查处有直接作用", "Told first, or added what proved it"),
    "natural_person": ("举报人为自然人", "The reporter is a natural person"),
    "not_staff": (
        "不是市场监管部门工作人员或者负有法定监督、报告义务的人员",
        "Is not of the regulator's staff, nor bound by law to report it",
    ),
    "not_injured": (
        "不是被侵权方及其委托代理人、利害关系人",
        "Is not the injured party, its agent, or otherwise concerned",
    ),
    "not_doer": (
        "不是实施违法行为的人（内部举报人除外）",
        "Did not do it (people who tell from within are excepted)",
    ),
    "not_paid": ("没有因该举报从其他市场主体获得报酬", "Was not paid by another business for telling"),
}
"""What an officer confirms before a reward is proposed (国市监稽规〔2021〕4号)."""


class NothingToReward(PortalError):
    status = 422
    slug = "nothing-to-reward"
    title = "There is nothing to reward here."
    remedy = "A reward is for a report on which a violation was found and decided. Decide the case first."


class ConditionsOpen(PortalError):
    status = 422
    slug = "conditions-open"
    title = "Not every condition of a reward is confirmed."
    remedy = "Confirm each of them, or do not propose a reward."


class RewardMovedOn(PortalError):
    status = 409
    slug = "reward-moved-on"
    title = "This step is not open: the reward has moved on."
    remedy = "Open the case again and see how far it is."


class AnotherMustApprove(PortalError):
    status = 403
    slug = "another-must-approve"
    title = "Whoever proposes a reward does not approve it."
    remedy = "Ask a colleague who holds the reviewer's role."


class AgreementMissing(PortalError):
    status = 422
    slug = "agreement-missing"
    title = "From this sum on the finance bureau has to agree."
    remedy = "Enter the number of its answer."


class WordWrong(PortalError):
    status = 403
    slug = "word-wrong"
    title = "This is not the word that was chosen when the report was sent."
    remedy = "Try again; capitals and gaps do not matter. After five wrong words it can be claimed only in person."


class ClaimOver(PortalError):
    status = 410
    slug = "claim-over"
    title = "This reward could be claimed until %(day)s."
    remedy = "If something kept you from it, write the officer a message."


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an officer proposes."""

    grade: int
    """1, 2 or 3."""
    share_of: Decimal | None
    """Fine and confiscated sum in yuan; None where there was none."""
    checklist: Collection[str]


def sum_of(grade: int, share_of: Decimal | None) -> Decimal:
    """The reward in yuan by the rule in force today. Raises NothingToReward for a grade that it does not know."""
    rule = rules.rewards(publication.today())
    if rule is None or grade not in rule.grades:
        raise NothingToReward
    of = rule.grades[grade]
    share = (share_of or Decimal(0)) * of.percent / 100
    return min(max(share, of.minimum), rule.most).quantize(Decimal("0.01"), ROUND_HALF_UP)


# ---- officers -------------------------------------------------------------------------------------------------------


def propose(session: Session, officer: Officer, tip_id: str, proposal: Proposal) -> Reward:
    """Propose a reward. Comes last in its transaction, as every step does.

    Raises NothingToReward, ConditionsOpen, RewardMovedOn when one was proposed before.
    """
    tip, case = _tip(session, officer, tip_id)
    decided = cases.mirrored(session, case)
    if case.kind != "report" or decided.finding != "violation" or decided.decided_on is None:
        raise NothingToReward
    if set(proposal.checklist) != set(CONDITIONS):
        raise ConditionsOpen
    if session.scalar(select(Reward.id).where(Reward.tip_id == tip_id)) is not None:
        raise RewardMovedOn
    reward = Reward(
        tip_id=tip.id, state="proposed", grade=proposal.grade, sum=sum_of(proposal.grade, proposal.share_of),
        share_of=proposal.share_of, checklist=sorted(proposal.checklist), proposed_by=officer.id,
        proposed_at=db.now(), wrong_words=0,
    )  # fmt: skip
    session.add(reward)
    _keep(session, "reward_propose", case, officer, reward)
    return reward


def approve(session: Session, officer: Officer, number: int) -> Reward:
    """Approve a reward; a large one then waits for the finance bureau. Raises AnotherMustApprove, RewardMovedOn."""
    reward, case = _reward(session, officer, number, "proposed")
    if reward.proposed_by == officer.id:
        raise AnotherMustApprove
    rule = rules.rewards(publication.today())
    reward.decided_by = officer.id
    if rule and reward.sum >= rule.agreement_from:
        reward.state = "agreeing"
    else:
        _offer(session, reward)
    _keep(session, "reward_approve", case, officer, reward)
    return reward


def agree(session: Session, officer: Officer, number: int, agreement: str) -> Reward:
    """Enter that the finance bureau agrees. Raises AgreementMissing, AnotherMustApprove, RewardMovedOn."""
    reward, case = _reward(session, officer, number, "agreeing")
    if reward.proposed_by == officer.id:
        raise AnotherMustApprove
    if not 3 <= len(agreement.strip()) <= 200:
        raise AgreementMissing
    reward.agreed_by, reward.agreement = officer.id, agreement.strip()
    _offer(session, reward)
    _keep(session, "reward_agree", case, officer, reward)
    return reward


def _offer(session: Session, reward: Reward) -> None:
    rule = rules.rewards(publication.today())
    reward.state, reward.offered_on = "offered", publication.today()
    reward.claim_until = Calendar.of(session).after(reward.offered_on, rule.claim_working_days).day if rule else None


def decline(session: Session, officer: Officer, number: int) -> Reward:
    """Do not give it. Raises RewardMovedOn once it was offered."""
    reward, case = _reward(session, officer, number, "proposed", "agreeing")
    reward.state, reward.decided_by = "declined", officer.id
    _keep(session, "reward_decline", case, officer, reward)
    return reward


def pay(session: Session, officer: Officer, number: int) -> Reward:
    """Enter that it was paid out. Raises RewardMovedOn before it was claimed."""
    reward, case = _reward(session, officer, number, "claimed")
    reward.state, reward.paid_on = "paid", publication.today()
    _keep(session, "reward_pay", case, officer, reward)
    return reward


def of_tips(session: Session, tip_ids: Collection[str]) -> Sequence[Reward]:
    """The rewards of these tips."""
    return session.scalars(select(Reward).where(Reward.tip_id.in_(tip_ids)).order_by(Reward.id)).all()


def waiting(session: Session, officer: Officer, *, limit: int = 100) -> Sequence[tuple[Reward, TipCase]]:
    """Rewards within the officer's reach that wait for an officer, the oldest first."""
    asked = (
        select(Reward, TipCase)
        .join(Tip, Tip.id == Reward.tip_id)
        .join(TipCase, TipCase.id == Tip.case_id)
        .where(Reward.state.in_(("proposed", "agreeing", "claimed")), *cases.within(officer))
    )
    return [(reward, case) for reward, case in session.execute(asked.order_by(Reward.id).limit(limit))]


# ---- the holder of the receipt --------------------------------------------------------------------------------------


def for_holder(session: Session, tip: Tip) -> Reward | None:
    """What the holder of the receipt sees of it: nothing before it is offered."""
    seen = Reward.state.in_(("offered", "claimed", "paid"))
    return session.scalar(select(Reward).where(Reward.tip_id == tip.id, seen))


def claim(session: Session, receipt: Receipt, word: str) -> bool:
    """Claim a reward with the receipt, and with the word if one was chosen. False: the word is wrong; that is counted.

    Raises talk.ReceiptUnknown, NotFound, ClaimOver.
    """
    tip = talk.find(session, receipt)
    reward = session.scalar(select(Reward).where(Reward.tip_id == tip.id, Reward.state == "offered").with_for_update())
    if reward is None:
        raise NotFound
    if reward.claim_until and publication.today() > reward.claim_until:
        raise ClaimOver(day=date_text(reward.claim_until))
    if tip.word_hash is not None:
        if reward.wrong_words >= MOST_WRONG_WORDS:
            return False
        if not hmac.compare_digest(tip.word_hash, receipt.word_hash(word)):
            reward.wrong_words += 1
            return False
    reward.state, reward.claimed_on = "claimed", publication.today()
    return True


def _tip(session: Session, officer: Officer, tip_id: str) -> tuple[Tip, TipCase]:
    tip = session.get(Tip, tip_id)
    if tip is None:
        raise NotFound
    return tip, cases.get(session, officer, tip.case_id)


def _reward(session: Session, officer: Officer, number: int, *states: str) -> tuple[Reward, TipCase]:
    reward = session.get(Reward, number, with_for_update=True)
    if reward is None:
        raise NotFound
    _, case = _tip(session, officer, reward.tip_id)
    if reward.state not in states:
        raise RewardMovedOn
    return reward, case


def _keep(session: Session, act: str, case: TipCase, officer: Officer, reward: Reward) -> None:
    session.flush()
    about = f"tip case {cases.number_of(case)}"
    acts.keep(session, act, about=about, by=officer, details={"reward": str(reward.id), "grade": str(reward.grade)})
