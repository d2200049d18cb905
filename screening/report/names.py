"""What readers of a report call things: Chinese names for signals, roles, channels, excuses and what was not checked."""

SIGNALS: dict[str, str] = {
    "rudeness.abuse": "辱骂贬低",
    "rudeness.threat": "威胁恐吓",
    "rudeness.mockery": "嘲讽挖苦",
    "rudeness.impatience": "质问不耐烦",
    "rudeness.interruption": "抢话打断",
    "diversion.platform": "引流到其他平台",
    "diversion.private_contact": "引到私人联系方式",
    "false_claim.superlative": "绝对化用语",
    "false_claim.efficacy": "虚假功效",
    "false_claim.guarantee": "越权保证",
    "forced_end.hangup": "强行结束",
    "forced_end.transfer": "强行转接",
    "disparagement": "诋毁贬低",
    "fraud.review_manipulation": "操纵评价",
    "fraud.rule_evasion": "规避规则",
    "leak.customer_data": "泄露客户资料",
    "leak.internal": "泄露内部信息",
    "harassment": "骚扰客户",
    "sensitive_complaint": "敏感投诉",
    "shirking": "推诿",
    "complaint.ignored": "漠视投诉",
    "promise.vague": "承诺含糊",
    "promise.unkept": "承诺未兑现",
    "process.three_guarantees": "违反三包",
    "response.slow_first": "首次响应慢",
    "response.slow": "平均响应慢",
    "response.unattended_emotion": "情绪未安抚",
    "process.no_greeting": "缺开场白",
    "process.no_closing": "缺结束语",
    "process.hold_unannounced": "等待未告知",
    "loss.over_limit": "损失超限",
    "answer.wrong": "解答错误",
    "entry.error": "录入错误",
}
ROLES = {"agent": "客服", "customer": "客户", "bot": "机器人", "system": "系统"}
CHANNELS = {"online": "在线", "phone": "电话", "email": "邮件", "social": "社交媒体"}
STATUSES = {"active": "有效", "shadow": "试运行", "excused": "已豁免"}
SOURCES = {"rule": "规则", "model": "模型", "conduct": "行为", "privacy": "隐私"}
ENDED_BY = {"agent": "客服结束", "customer": "客户结束", "system": "系统结束"}
KINDS = {"image": "图片", "voice": "语音", "card": "卡片"}
SEEN_BY = {"text": "文本", "turns": "对话过程", "data": "数据", "ledger": "跨对话台账", "human": "人工"}
NOT_CHECKED = {
    "timing": "响应时间",
    "talk_over": "抢话",
    "promises_kept": "承诺兑现",
    "callbacks": "回电记录",
    "transfer": "转接去向",
}
_EXCUSES = {
    "negation": "客服在否定这件事",
    "refusal": "客服在拒绝这件事",
    "quotation": "客服在转述客户的话",
    "classifier": "分类器结合上下文认为不成立",
}


def family(signal: str) -> str:
    """The part of a signal before its dot; signals of one family share a colour."""
    return signal.partition(".")[0]


def excuse(excused_by: str) -> str:
    """Why a flag does not count, for a reader; an `unless:` carries the words that excuse it."""
    kind, colon, words = excused_by.partition(":")
    if kind == "unless" and colon:
        return f"这里说的是「{words}」，属规则写明的例外"
    return _EXCUSES.get(excused_by, excused_by)
