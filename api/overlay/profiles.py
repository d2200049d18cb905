"""The profiles of a house: the common one, further ones by name, and the vendors that are screened under these."""

import msgspec
from sqlalchemy.orm import Session

from api.store.tables_rules import SettingsVersion
from screening.profile import Profile


class Profiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a version of the settings. `vendors`: vendor to the name of its profile, the common one for all others."""

    profile: Profile
    profiles: tuple[Profile, ...] = ()
    vendors: dict[str, str] = {}

    def by_vendor(self) -> dict[str, Profile]:
        """The profile of each vendor that has one of its own."""
        named = {one.name: one for one in self.profiles}
        return {vendor: named[name] for vendor, name in self.vendors.items()}


def of(session: Session, own: Profile, version_id: int | None) -> Profiles:
    """What a version holds; for None the process's own profile, for everybody."""
    if version_id is None:
        return Profiles(own)
    return msgspec.json.decode(session.get_one(SettingsVersion, version_id).body, type=Profiles)
