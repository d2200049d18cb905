"""The closed list of signals (CONTRACT.md): what a rule or detector can say it saw."""

SIGNALS: tuple[str, ...] = (
    "rudeness.abuse",
    "rudeness.threat",
    "rudeness.mockery",
    "rudeness.impatience",
    "rudeness.interruption",
    "diversion.platform",
    "diversion.private_contact",
    "false_claim.superlative",
    "false_claim.efficacy",
    "false_claim.guarantee",
    "forced_end.hangup",
    "forced_end.transfer",
    "disparagement",
    "fraud.review_manipulation",
    "fraud.rule_evasion",
    "leak.customer_data",
    "leak.internal",
    "harassment",
    "sensitive_complaint",
    "shirking",
    "complaint.ignored",
    "promise.vague",
    "process.three_guarantees",
    "promise.unkept",
    "response.slow_first",
    "response.slow",
    "response.unattended_emotion",
    "process.no_greeting",
    "process.no_closing",
    "process.hold_unannounced",
    "loss.over_limit",
    "answer.wrong",
    "entry.error",
)

TEXT_SIGNALS: tuple[str, ...] = SIGNALS[:23]
"""Signals that the words of a turn (with what stands before it) can show; rules and classifiers answer for these."""

CUSTOMER_SIGNALS = frozenset({"sensitive_complaint"})
"""Text signals that are read in the customer's turns; all others judge the agent's."""
