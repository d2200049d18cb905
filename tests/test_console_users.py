"""Users in a real browser."""

import pytest
from playwright.sync_api import expect

from api import users
from tests.console import PASSWORD, Console

NEW = "ganz-neues-Passwort-4"

expect.set_options(timeout=30_000)  # the machine may be busy


@pytest.mark.browser
def test_users_are_added_changed_and_deactivated(console: Console) -> None:
    page = console.page("/users", token=console.user("admin", name="boss"))
    page.click("text=添加用户")
    page.fill("#user-dialog [name=name]", "Anna")
    page.fill("#user-dialog [name=password]", "short")
    page.click("#user-dialog [type=submit]")
    expect(page.locator("#user-dialog [data-problem=password]")).to_contain_text("12 to 200")
    page.fill("#user-dialog [name=password]", PASSWORD)
    page.select_option("#user-dialog [name=role]", "vendor")
    page.fill("#user-dialog [name=vendor_id]", "v1")
    page.click("#user-dialog [type=submit]")
    row = page.locator("tr", has_text="anna")
    expect(row).to_contain_text("供应商")
    expect(page.locator("#user-dialog")).not_to_be_visible()

    row.locator("text=改角色").click()
    assert page.input_value("#role-dialog [name=vendor_id]") == "v1"
    page.select_option("#role-dialog [name=role]", "reviewer")
    page.click("#role-dialog [type=submit]")
    expect(row).to_contain_text("审核员")
    row.locator("text=重置密码").click()
    page.fill("#password-dialog [name=password]", NEW)
    page.click("#password-dialog [type=submit]")
    expect(page.locator("#password-dialog")).not_to_be_visible()
    users.login(console.service, "anna", NEW, "test")
    row.locator("text=停用").click()
    page.click("dialog >> text=停用 >> nth=-1")
    expect(row).to_contain_text("已停用")
    own = page.locator("tr", has_text="boss")
    assert own.locator("[data-act=activity]").count() == 0
