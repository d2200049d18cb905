"""Users and API keys: who may come in, and as what."""

from collections.abc import Awaitable, Callable
from typing import Any, get_args

from nicegui import ui

from api import access
from api.access import Principal
from api.clock import to_datetime
from api.console import rule_form, shell
from api.console.live import Live
from api.console.visitor import Visitor
from api.routes import users
from api.routes.users import KeyView, MadeKey, NewKey, NewUser, Role, Scope, UserChange, UserView
from api.wiring import Service

Given = dict[str, Any]


@shell.page("/users", "users", "users", styles=("rules.css", "users.css"))
async def page(visitor: Visitor, principal: Principal) -> None:
    """Both lists with what can be done to each entry; a new key's token is shown once."""
    t = visitor.words
    me = principal.actor.partition(":")[2]

    async def draw(made: MadeKey | None = None) -> None:
        people, keys = await visitor.act("users", found)
        people_list.set_content(shell.template("users.html", t=t, people=people, me=me))
        now = to_datetime(visitor.service.clock()).isoformat()
        keys_list.set_content(shell.template("keys.html", t=t, keys=keys, made=made, now=now))

    def doing(
        perform: Callable[[Service, Principal, Given], object], dialog: str, said: str
    ) -> Callable[[Given], Awaitable[None]]:
        async def done(given: Given) -> None:
            made = await visitor.act("users", perform, given)
            await draw(made if isinstance(made, MadeKey) else None)
            live.call("actClose", dialog)
            shell.notify(t(said), "good")

        return done

    acts = {
        "add_user": doing(_add_user, "user-dialog", "users.added"),
        "change_user": doing(_change_user, "role-dialog", "users.changed"),
        "reset_password": doing(_reset_password, "password-dialog", "users.password_set"),
        "activity": doing(_activity, "", "users.changed"),
        "add_key": doing(_add_key, "key-dialog", "users.key_made"),
        "revoke_key": doing(_revoke_key, "", "users.key_revoked"),
    }
    live = Live(visitor, acts)
    shell.heading(t("users.title"), t("users.about"))
    people_list = ui.html("", sanitize=False)
    keys_list = ui.html("", sanitize=False)
    ui.html(shell.template("users_dialogs.html", t=t, roles=get_args(Role), scopes=get_args(Scope)), sanitize=False)
    await draw()


def found(service: Service, principal: Principal) -> tuple[list[UserView], list[KeyView]]:
    """All users, and all keys."""
    return users.list_users(service, principal), users.list_keys(service, principal)


def _role(given: Given) -> Given:
    """The role with its vendor; the form hides the vendor's field for other roles, whatever it holds."""
    role = rule_form.text(given, "role")
    return {"role": role or None, "vendor_id": (rule_form.text(given, "vendor_id") or None) if role == "vendor" else None}


def _add_user(service: Service, principal: Principal, given: Given) -> object:
    body = NewUser.model_validate(
        {name: rule_form.text(given, name) or None for name in ("name", "role", "vendor_id")}
        | {"password": given.get("password")}
    )
    return users.add_user(body, service, principal)


def _change_user(service: Service, principal: Principal, given: Given) -> object:
    body = UserChange.model_validate(_role(given))
    return users.change_user(rule_form.text(given, "name"), body, service, principal)


def _reset_password(service: Service, principal: Principal, given: Given) -> object:
    body = UserChange.model_validate({"password": given.get("password")})
    return users.change_user(rule_form.text(given, "name"), body, service, principal)


def _activity(service: Service, principal: Principal, given: Given) -> object:
    body = UserChange(active=rule_form.text(given, "active") == "yes")
    return users.change_user(rule_form.text(given, "name"), body, service, principal)


def _add_key(service: Service, principal: Principal, given: Given) -> object:
    access.check(principal, "keys")
    named = {name: rule_form.text(given, name) or None for name in ("name", "vendor_id", "per_minute", "days")}
    return users.add_key(NewKey.model_validate(named | {"scopes": rule_form.many(given, "scopes")}), service, principal)


def _revoke_key(service: Service, principal: Principal, given: Given) -> object:
    access.check(principal, "keys")
    return users.revoke_key(rule_form.number(given.get("id")) or 0, service, principal)
