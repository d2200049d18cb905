"""What the endpoints on rules and profiles take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from api.clock import to_datetime
from api.overlay import versions
from api.overlay.checks import Problem
from api.schemas import Input, Note, RowId, Text
from api.store.tables_rules import BackTest, Overlay, SettingsVersion

State = Literal["draft", "shadow", "published", "superseded", "rolled_back"]
Origin = Literal["shipped", "overlay", "shadow"]
_RULE_EXAMPLE = {
    "id": "shirking-other-counter",
    "version": 1,
    "signal": "shirking",
    "title": "让客户去别的柜台",
    "references": ["jd-zhitongche/B.shirking"],
    "any_of": ["找隔壁柜台问去"],
    "suggestion": "我来帮您查一下，请稍等",
    "hit": ["您«找隔壁柜台问去»"],
    "miss": ["隔壁柜台有样品", "我帮您去隔壁柜台问"],
}


def _writable(value: Any) -> Any:
    """Refuses what the store cannot hold or nobody can read: control characters, halves of characters."""
    match value:
        case str():
            if any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
                raise ValueError("holds a control character")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("holds half of a character (a lone surrogate)") from None
        case list():
            for one in value:
                _writable(one)
        case dict():
            for name, one in value.items():
                _writable(name)
                _writable(one)
    return value


Table = Annotated[dict[str, Any], AfterValidator(_writable)]


class RulesInput(Input):
    """Changes over a version: whole rules, new or in place of the one with the same id, and ids whose changes are dropped.

    `parent` is the number of the version to change; left out, the published one, or what ships where there is none.
    """

    rules: Annotated[list[Table], Field(default_factory=list, max_length=200, examples=[[_RULE_EXAMPLE]])]
    drop: Annotated[list[Text], Field(default_factory=list, max_length=2000)]
    parent: RowId | None = None


class DraftInput(RulesInput):
    """A draft: its changes and what they are for."""

    title: Text
    note: Note = ""


class ProfileInput(Input):
    """Profiles (standards, thresholds, zone: docs/profiles.md) as JSON: the common one, further ones by name, and who is under these.

    `vendors` names a vendor's profile among `profiles`. What is left out stays as it is in force.
    """

    title: Text
    note: Note = ""
    profile: Annotated[
        Table | None, Field(examples=[{"overrides": [{"signal": "response.slow_first", "channels": ["online"], "value": 20}]}])
    ] = None
    profiles: Annotated[
        list[Table] | None, Field(max_length=200, examples=[[{"name": "strict", "standards": ["tencent-zhongchuang"]}]])
    ] = None
    vendors: Annotated[dict[Text, Text] | None, Field(max_length=2000, examples=[{"v12": "strict"}])] = None


class ScoresInput(Input):
    """What the version is for; `parent` as for a draft."""

    title: Text
    note: Note = ""
    parent: RowId | None = None


class RollBackInput(Input):
    """The number of an earlier published version to go back to; null is what ships."""

    to: RowId | None
    note: Note = ""


class BackTestInput(Input):
    """Which stored conversations: all, or those that fit every given field, at most the `limit` newest of them."""

    vendor_id: Text | None = None
    agent_id: Text | None = None
    channel: Literal["online", "phone", "email", "social"] | None = None
    level: Literal["A", "B", "C"] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000


class ProblemView(BaseModel):
    """A thing to mend in a rule; `field` is null where it concerns the rule as a whole."""

    rule: str
    field: str | None
    message: str

    @classmethod
    def of(cls, problem: Problem) -> "ProblemView":
        """As a problem is shown."""
        return cls(**problem._asdict())


class Checked(BaseModel):
    """What is wrong with changes; nothing where they could be drafted."""

    problems: list[ProblemView]


class VersionView(BaseModel):
    """A version without its content. `lexicon`: the version of the whole lexicon with it published, for rules."""

    id: int
    digest: str
    parent: str | None
    title: str
    note: str
    state: State
    author: str
    publisher: str | None
    lexicon: str | None
    created_at: datetime
    published_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Overlay | SettingsVersion, names: dict[int, str]) -> "VersionView":
        """As a version is shown."""
        return cls(**_fields(row, names))


class VersionPage(BaseModel):
    """Versions from the newest on; `next` goes into `before`."""

    versions: list[VersionView]
    next: int | None


class RulesVersionView(VersionView):
    """A version of the overlay with all its rules. `judged`: what flagged to its version, confirmed and rejected flags."""

    rules: list[dict[str, Any]]
    judged: dict[str, tuple[int, int, int]]

    @classmethod
    def with_rules(cls, row: Overlay, names: dict[int, str]) -> "RulesVersionView":
        """As one version is shown."""
        return cls(**_fields(row, names), **msgspec.to_builtins(versions.decoded(row)))


class ProfileVersionView(VersionView):
    """A version of the profiles with its content."""

    profile: dict[str, Any]
    profiles: list[dict[str, Any]]
    vendors: dict[str, str]

    @classmethod
    def with_profile(cls, row: SettingsVersion, names: dict[int, str]) -> "ProfileVersionView":
        """As one version is shown."""
        return cls(**_fields(row, names), **msgspec.to_builtins(versions.decoded(row)))


class Change(BaseModel):
    """A field that differs."""

    field: str
    before: Any
    after: Any


class RuleChange(BaseModel):
    """A rule of one side or of both."""

    rule: str
    change: Literal["added", "removed", "changed"]
    fields: list[Change]


class RulesDiff(BaseModel):
    """What a version does otherwise than another (null: than what ships), over the shipped rules. `judged`: counts that differ."""

    version: int
    against: int | None
    changes: list[RuleChange]
    judged: list[Change]


class ProfileDiff(BaseModel):
    """What a profile sets otherwise than another (null: than the process's own)."""

    version: int
    against: int | None
    fields: list[Change]


class RuleView(BaseModel):
    """A rule that runs or stands by: where it comes from, and the rule itself."""

    origin: Origin
    rule: dict[str, Any]


class RulePage(BaseModel):
    """Rules by id; `next` goes into `after`."""

    rules: list[RuleView]
    next: str | None


class RulesInForce(BaseModel):
    """What this process screens with, and the versions behind it; `problem` says why a published one could not be taken up."""

    shipped: str
    lexicon: str
    published: VersionView | None
    shadow: list[VersionView]
    problem: str | None


class ProfileInForce(BaseModel):
    """The profiles that this process screens with; no version: the common one comes from the process's own settings, alone.

    `digest` is what `versions.settings` of a screening under the common profile says, `digests` what it says for vendors with one of
    their own.
    """

    digest: str
    profile: dict[str, Any]
    vendors: dict[str, str]
    digests: dict[str, str]
    published: VersionView | None
    problem: str | None


class BackTestView(BaseModel):
    """A back-test; `report` (docs/api.md) is null until its job is done."""

    id: int
    version: int
    job_id: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    report: dict[str, Any] | None

    @classmethod
    def of(cls, row: BackTest, report: bytes | None) -> "BackTestView":
        """As a back-test is shown; `report` is unpacked JSON."""
        return cls(
            id=row.id,
            version=row.overlay_id,
            job_id=row.job_id,
            created_by=row.created_by,
            created_at=to_datetime(row.created_at),
            finished_at=None if row.finished_at is None else to_datetime(row.finished_at),
            report=None if report is None else msgspec.json.decode(report),
        )


class BackTestPage(BaseModel):
    """Back-tests from the newest on, without their reports; `next` goes into `before`."""

    back_tests: list[BackTestView]
    next: int | None


def _fields(row: Overlay | SettingsVersion, names: dict[int, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "digest": row.digest,
        "parent": row.parent,
        "title": row.title,
        "note": row.note or "",
        "state": row.state,
        "author": names[row.author_id],
        "publisher": None if row.publisher_id is None else names[row.publisher_id],
        "lexicon": row.lexicon_hash if isinstance(row, Overlay) else None,
        "created_at": to_datetime(row.created_at),
        "published_at": None if row.published_at is None else to_datetime(row.published_at),
        "ended_at": None if row.ended_at is None else to_datetime(row.ended_at),
    }
