from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from playwright.async_api import Page, expect

from tests.admin_kit import DESKTOP, PHONE, desk, session_of

PASSWORD = "a long enough password"
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ana(live_server) -> User:
    user = User.objects.create_user("ana", "ana@example.org", PASSWORD)
    user.groups.add(Group.objects.get(name="Supervisor"))
    return user


async def enter(page: Page, url: str) -> None:
    await page.goto(f"{url}/admin/")
    await page.locator("[name=login]").fill("ana")
    await page.locator("[name=password]").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_one_enrols_an_authenticator_app_and_signs_in_with_it(
    chromium: str, live_server, ana: User, settings
) -> None:
    settings.REQUIRE_MFA = True
    async with desk(chromium, live_server.url) as here:
        page = here.page
        await enter(page, live_server.url)
        await expect(page.get_by_text("A second factor is required here")).to_be_visible()
        secret = await page.locator("#authenticator_secret").input_value()
        await page.locator("[name=code]").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
        await page.get_by_role("button", name="Activate").click()
        await page.goto(f"{live_server.url}/admin/")
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    async with desk(chromium, live_server.url) as here:
        page = here.page
        await enter(page, live_server.url)
        await expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/"))
        await page.goto(f"{live_server.url}/admin/")
        await expect(page).to_have_url(re.compile("/accounts/"))  # the password alone opens nothing
        await page.goto(f"{live_server.url}/accounts/2fa/authenticate/")
        # The code of the next half minute: this one's was used up to enrol.
        await page.locator("[name=code]").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1)))
        await page.get_by_role("button", name="Sign in").first.click()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def test_one_adds_a_passkey_and_signs_in_with_it_alone(chromium: str, live_server, ana: User) -> None:
    async with desk(chromium, live_server.url) as here:
        page = here.page
        session = await page.context.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        await enter(page, live_server.url)
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        await page.goto(f"{live_server.url}/accounts/2fa/webauthn/add/")
        await page.get_by_label("Name").fill("My laptop")
        await page.get_by_label(re.compile("Passwordless")).check()
        await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_text(re.compile("[Rr]ecovery codes")).first).to_be_visible()
        await page.context.clear_cookies()

        await page.goto(f"{live_server.url}/accounts/login/?next=/admin/")
        await page.get_by_role("button", name="Sign in with a passkey").click()

        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "320px"])
async def test_the_pages_of_signing_in_fit(chromium: str, live_server, ana: User, size, scheme: str) -> None:
    pages = ["2fa/", "2fa/totp/activate/", "2fa/webauthn/add/", "password/change/", "sessions/", "logout/"]
    async with desk(chromium, live_server.url, viewport=size, color_scheme=scheme) as here:
        await here.open("/accounts/login/")
        assert await here.overflow() <= 0
        await enter(here.page, live_server.url)
        await expect(here.page.get_by_role("heading", name="Overview")).to_be_visible()
        for path in pages:
            await here.open(f"/accounts/{path}")
            assert await here.overflow() <= 0, path


async def test_each_role_sees_only_its_tasks(chromium: str, live_server) -> None:
    expected = {
        "Viewer": {"Overview", "Conversations", "Customers"},
        "Auditor": {"Overview", "People"},
        "Ops": {"Overview", "Conversations", "Customers", "Channels", "Event log", "Settings"},
    }

    def make(role: str) -> None:
        user = User.objects.create_user(role.lower(), password=PASSWORD)
        user.groups.add(Group.objects.get(name=role))

    for role, tasks in expected.items():
        await sync_to_async(make)(role)
        async with desk(chromium, live_server.url) as here:
            await here.page.goto(f"{live_server.url}/admin/")
            await here.page.locator("[name=login]").fill(role.lower())
            await here.page.locator("[name=password]").fill(PASSWORD)
            await here.page.get_by_role("button", name="Sign in", exact=True).click()
            items = here.page.locator("#nav-sidebar-apps li a span:not(.material-symbols-outlined)")
            await expect(items.first).to_be_visible()
            shown = set(await items.all_inner_texts()) - {"Dashboards"}
            assert shown == tasks, role


async def test_an_admin_adds_a_person_who_then_signs_in(chromium: str, live_server) -> None:
    boss = await sync_to_async(User.objects.create_superuser)("boss", password=PASSWORD)
    async with desk(chromium, live_server.url, await sync_to_async(session_of)(boss)) as here:
        page = here.page
        await here.open("/admin/auth/user/")
        await page.locator("a[href*='/auth/user/add/']").first.click()
        await page.get_by_label("Username").fill("ana")
        await page.get_by_label("Email address").fill("ana@example.org")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("Password confirmation").fill(PASSWORD)
        await page.get_by_label("Groups").select_option(label="Supervisor")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_text("was added successfully")).to_be_visible()
    async with desk(chromium, live_server.url) as here:
        await enter(here.page, live_server.url)
        await expect(here.page.get_by_role("heading", name="Overview")).to_be_visible()
        await here.open("/admin/channels/add/")


async def test_what_was_typed_wrong_in_adding_a_person_is_said_beside_it(chromium: str, live_server) -> None:
    boss = await sync_to_async(User.objects.create_superuser)("boss", password=PASSWORD)
    async with desk(chromium, live_server.url, await sync_to_async(session_of)(boss)) as here:
        page = here.page
        await here.open("/admin/auth/user/add/")
        await page.get_by_label("Username").fill("boss")
        await page.get_by_label("Password", exact=True).fill("one two three four")
        await page.get_by_label("Password confirmation").fill("another")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.get_by_text("A user with that username already exists.")).to_be_visible()
        await expect(page.get_by_text(re.compile("two password fields didn.t match"))).to_be_visible()
        assert await page.get_by_label("Username").input_value() == "boss"
