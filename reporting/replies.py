"""What officers often write to reporters, as a beginning: they change it before it is sent."""

from record.codes import Labels

REPLIES: Labels = {
    "more": (
        "您好，您反映的情况已收到。为便于核查，请在本页补充：具体地点、时间、涉及的商品或服务，以及您掌握的照片、票据等材料。",
        "Thank you for what you told us. So that we can verify it, please add here: the place and time, the goods or"
        " service, and any photos or receipts that you have.",
    ),
    "filed": (
        "您好，经核查，您反映的情况符合立案条件，我局已依法立案。处理结果作出后，您可凭回执在本页查看。",
        "We verified what you told us and opened a case. Once it is decided you can read of it here with your receipt.",
    ),
    "not_filed": (
        "您好，经核查，您反映的情况不符合立案条件，依法不予立案。理由：",
        "We verified what you told us. No case is opened, for this reason: ",
    ),
    "accepted": (
        "您好，您的投诉已受理。工作人员将联系您和经营者组织调解，请留意来电或者本页的消息。",
        "Your complaint was accepted. An officer will contact you and the business to mediate; please watch this page.",
    ),
    "refused": (
        "您好，您的投诉依法不予受理。理由：",
        "Your complaint was not accepted, for this reason: ",
    ),
    "ended": (
        "您好，您的投诉调解已终结。您对结果有异议的，可以依法申请仲裁或者向人民法院提起诉讼。",
        "The mediation of your complaint has ended. Arbitration and the courts remain open to you.",
    ),
    "transferred": (
        "您好，您反映的事项已依法移送有管辖权的部门处理，回执继续有效，进展仍在本页查看。",
        "Your case was passed on to the department in charge. Your receipt stays valid; progress is shown here.",
    ),
}
"""Our code -> the text in Chinese and in English."""
