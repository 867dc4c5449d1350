"""Lilach's days with Claude: what she asks, what it asks her, and what goes wrong on the way."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import FilePayload, Page, Request, WebSocketRoute, expect

from tests.browser.conftest import PHONE, drop, picture, say
from tests.support.containers import Workspace
from tests.support.wait import wait_until
from tests.support.wire import Wire

MANY = 60
"""Words that take a few seconds to come."""
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGPgzU78DwADOwHZzon70AAAAABJRU5ErkJggg=="
)
"""One pixel."""
FINGER_PX = 44
SLOWLY = f"[tokens {MANY} at 80 ms]"


def last_answer(page: Page) -> str:
    return page.locator("[data-role=assistant] .prose").last.inner_text()


def words_of(text: str) -> list[str]:
    return re.findall(r"word\d+", text)


def assert_whole(page: Page) -> None:
    """Each word once, in order."""
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert words_of(last_answer(page)) == [f"word{number}" for number in range(1, MANY + 1)]


def path_of(page: Page) -> str:
    """Where she is, for another device."""
    return re.sub(r"^.*?//[^/]*", "", page.url)


def assert_at_hand(phone: Page, name: str) -> None:
    """What a card asks can be answered by a thumb: all of it is on the screen, and large enough."""
    picture(phone, name)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing scrolls sideways"
    for button in phone.locator("[data-role=ask] .actions button").all():
        box = button.bounding_box()
        assert box, "it is seen"
        assert box["height"] >= FINGER_PX, box
        assert box["x"] >= 0, box
        assert box["x"] + box["width"] <= PHONE["width"], box
        assert box["y"] + box["height"] <= PHONE["height"], box


def test_a_command_shows_what_it_did(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, 'Count [tool Bash {"command": "seq 3 | tac", "description": "Count down"}][say Three.]')
    expect(page.locator("[data-role=assistant]").last).to_contain_text("Three.")
    page.locator(".steps summary").last.click()
    expect(page.locator(".plain-text.output pre").last).to_contain_text("3\n2\n1")
    picture(page, "chat-command")


def test_claudes_steps_are_shown_in_short_or_in_full(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(
        page,
        'Look [tool Bash {"command": "echo $((40+2))", "description": "Reckon"}]'
        '[tool Bash {"command": "seq 3 | tac", "description": "Count down"}][say Both done.]'
        '[tool Bash {"command": "echo $((50+5))", "description": "Reckon again"}][say All done.]',
    )
    expect(page.locator("[data-role=assistant]").last).to_contain_text("All done.")
    gathered = page.locator(".steps.gathered > summary")
    expect(gathered).to_contain_text("2 steps")
    for more in (".plain-text.output", ".timeline .end"):
        expect(page.locator(more)).to_have_count(0)
    picture(page, "chat-in-short")
    before = home.get("/api/boot").json()["settings"]
    path = path_of(page)
    phone = page_of(home, PHONE, touch=True, path="/settings/general")
    try:
        phone.get_by_text("In full", exact=True).tap()
        outputs = page.locator(".plain-text.output pre")
        expect(outputs).to_have_text(["42", re.compile("3\n2\n1"), "55"])
        expect(gathered).to_have_count(0)
        expect(page.locator(".timeline .end")).to_have_count(1)
        picture(page, "chat-in-full")
        phone.goto(home.url + path)
        expect(phone.locator(".plain-text.output pre")).to_have_count(3)
        expect(phone.locator(".user .message-tools")).to_have_css("opacity", "1")
        picture(phone, "chat-in-full-phone")
    finally:
        home.ask("PUT", "/api/settings", before).raise_for_status()
    expect(gathered).to_contain_text("2 steps")
    expect(page.locator(".plain-text.output")).to_have_count(0)


def test_a_picture_that_claude_looks_at_can_be_seen(home: Workspace, page_of: Callable[..., Page]) -> None:
    home.put("/data/workspace/tower.png", PICTURE)
    page = page_of(home)
    say(page, 'Look [tool Read {"file_path": "/data/workspace/tower.png"}][say A tower.]')
    expect(page.locator("[data-role=assistant]").last).to_contain_text("A tower.")
    shown = page.get_by_role("list", name="Pictures").get_by_role("img")
    for _ in range(2):
        page.locator(".steps summary").last.click()
        expect(shown).to_be_visible()
        wait_until(lambda: shown.evaluate("one => one.naturalWidth") > 0, "the picture is shown")
        page.reload()


def test_claudes_to_do_list_is_a_list_that_is_ticked(home: Workspace, page_of: Callable[..., Page]) -> None:
    """Its tools are fetched by Claude when it needs them, and its plan is known again after a reload."""
    page = page_of(home)
    steps = page.get_by_role("region", name="Claude’s steps")
    say(
        page,
        'Plan it [tool ToolSearch {"query": "select:TaskCreate,TaskUpdate"}]'
        '[tool TaskCreate {"subject": "Buy paint", "description": "White"}]'
        '[also TaskCreate {"subject": "Paint <b>the</b> wall", "description": "Twice"}]'
        '[also TaskCreate {"subject": "Clean up", "description": "All of it"}]'
        '[tool TaskUpdate {"taskId": "1", "status": "completed"}]'
        '[also TaskUpdate {"taskId": "2", "status": "in_progress"}][say Planned.]',
    )
    expect(page.locator("[data-role=assistant]").last).to_contain_text("Planned.")
    for _ in range(2):
        expect(steps).to_contain_text("1 of 3 steps done")
        expect(steps.get_by_role("listitem")).to_have_text(["Buy paint", "Paint <b>the</b> wall", "Clean up"])
        expect(steps.get_by_role("listitem").first.get_by_role("img", name="Done")).to_be_visible()
        expect(steps.get_by_role("listitem").nth(1).get_by_role("img", name="Being done")).to_be_visible()
        picture(page, "chat-todos")
        page.reload()
    say(page, 'And now? [tool TaskUpdate {"taskId": "2", "status": "completed"}][say Nearly done.]')
    expect(steps).to_have_count(1)
    expect(steps).to_contain_text("2 of 3 steps done")
    page.get_by_text("Finished a step: Paint <b>the</b> wall").click()
    expect(page.locator(".steps .todos").last.get_by_role("listitem")).to_have_count(3)


def test_a_permission_is_given_and_another_refused_with_advice(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home)
    say(page, 'Write [tool Write {"file_path": "/data/workspace/allowed.md", "content": "# yes\\n"}]')
    card = page.locator("[data-role=ask]")
    expect(card).to_contain_text("# yes")
    picture(page, "chat-permission")
    card.get_by_role("button", name="Allow once").click()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said:")
    assert home.run("cat", "/data/workspace/allowed.md") == "# yes\n"
    say(page, 'Again [tool Write {"file_path": "/data/workspace/refused.md", "content": "no"}]')
    card.get_by_role("button", name="Don’t allow").click()
    page.get_by_label("What should Claude do instead?").fill("Ask my sister first")
    page.keyboard.press("Enter")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("Ask my sister first")
    assert home.attempt("test", "-e", "/data/workspace/refused.md").status != 0


def test_claudes_question_takes_several_answers_and_her_own_words(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home, PHONE, touch=True)
    say(
        page,
        '[ask {"questions": [{"question": "Which colours?", "header": "Colours", "multiSelect": true,'
        ' "options": [{"label": "Red", "description": "Warm"}, {"label": "Blue", "description": "Cool"}]}]}]',
    )
    page.get_by_label("Red").check()
    page.get_by_label("Blue").check()
    page.get_by_label("Another answer to: Which colours?").fill("and a little gold")
    assert_at_hand(page, "chat-question-phone")
    page.get_by_role("button", name="Answer", exact=True).tap()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("Red, Blue, and a little gold")


def test_a_plan_is_sent_back_and_then_approved(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    page.get_by_label("When Claude asks you").select_option("plan")
    say(page, "[plan # Plan\n\n1. Paint the wall][plan # Better plan\n\n1. Ask the landlord][say Started.]")
    expect(page.locator("[data-role=ask]")).to_contain_text("Paint the wall")
    page.get_by_role("button", name="Change the plan").click()
    page.get_by_label("What should be different?").fill("Ask first")
    page.get_by_role("button", name="Send back").click()
    expect(page.locator("[data-role=ask]")).to_contain_text("Ask the landlord")
    picture(page, "chat-plan")
    phone = page_of(home, PHONE, touch=True, path=path_of(page))
    expect(phone.locator("[data-role=ask]")).to_contain_text("Ask the landlord")
    assert_at_hand(phone, "chat-plan-phone")
    phone.get_by_role("button", name="Go ahead").tap()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("Started.")


def test_she_stops_claude_and_what_she_wrote_meanwhile_waits_its_turn(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home)
    say(page, "[tokens 500 at 50 ms]")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("word3")
    say(page, "And then this")
    expect(page.get_by_text("Queued: Claude gets it next")).to_be_visible()
    picture(page, "chat-queued")
    page.get_by_role("button", name="Take it back and change it").click()
    expect(page.get_by_text("Queued: Claude gets it next")).to_be_hidden()
    expect(page.get_by_label("Message Claude")).to_have_value("And then this")
    say(page, "And then that")
    expect(page.get_by_text("Queued: Claude gets it next")).to_be_visible()
    say(page, "And at last this")
    expect(page.get_by_text("Queued: Claude gets it next")).to_have_count(2)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("You stopped Claude.")).to_be_visible()
    expect(page.get_by_label("Message Claude")).to_have_value("And then that\n\nAnd at last this")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert len(words_of(last_answer(page))) < 400


def test_nothing_that_anybody_writes_runs(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    say(page, f"{attack} [say {attack} **b** [x](javascript:window.hacked=1) <svg onload=window.hacked=1>]")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("onerror")
    expect(page.locator(".topbar-title")).to_contain_text("<img")
    page.reload()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("onerror")
    assert page.evaluate("window.hacked") is None
    assert page.locator(".timeline :is(img, script, svg[onload], a[href^=javascript])").count() == 0


def test_an_answer_survives_a_network_that_is_cut(
    home: Workspace, page_of: Callable[..., Page], cut_s: float
) -> None:
    with Wire(home.port) as wire:
        page = page_of(home, url=wire.url, calm=False)
        say(page, f"Cut {SLOWLY}")
        expect(page.locator("[data-role=assistant]").last).to_contain_text("word9 ")
        wire.cut()
        expect(page.get_by_text("Waking your workspace")).to_be_visible()
        page.get_by_label("Message Claude").fill("Written while away")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("Will be sent once you are connected again")).to_be_visible()
        picture(page, "chat-cut-off")
        page.wait_for_timeout(cut_s * 1000)
        wire.mend()
        answer = page.locator("[data-role=assistant]").last
        expect(answer).to_contain_text("You said: Written while away")
        first = page.locator("[data-role=assistant] .prose").first.inner_text()
        assert words_of(first) == [f"word{number}" for number in range(1, MANY + 1)]
        expect(page.locator("[data-role=user]")).to_have_count(2)


def test_an_answer_survives_a_sleep_in_the_middle(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, calm=False)
    say(page, f"Sleep {SLOWLY}")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("word9 ")
    home.suspend()
    try:
        page.wait_for_timeout(1500)
    finally:
        home.resume()
    assert_whole(page)


def test_what_a_dead_connection_swallows_is_done_over_the_next_one(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    page = page_of(home, calm=False)
    dead: list[WebSocketRoute] = []
    connections: list[WebSocketRoute] = []
    swallowed: list[str] = []

    def pass_on(page_side: WebSocketRoute) -> None:
        """As a network that goes away without a word: nothing breaks, and nothing arrives."""
        server = page_side.connect_to_server()
        connections.append(page_side)

        def up(message: str | bytes) -> None:
            if page_side in dead:
                swallowed.append(json.loads(message)["type"])
            else:
                server.send(message)

        page_side.on_message(up)
        server.on_message(lambda message: None if page_side in dead else page_side.send(message))

    page.route_web_socket("**/api/live", pass_on)
    page.reload()
    say(page, 'Dead [tool Write {"file_path": "/data/workspace/dead.md", "content": "alive"}]')
    card = page.locator("[data-role=ask]")
    expect(card).to_be_visible()
    dead.append(connections[-1])
    card.get_by_role("button", name="Allow once").click()
    expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said:")
    assert home.run("cat", "/data/workspace/dead.md") == "alive"
    assert "answer" in swallowed


def test_a_file_that_claude_names_is_a_link(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, 'Write [tool Write {"file_path": "/data/workspace/named.md", "content": "# Named"}]')
    page.locator("[data-role=ask]").get_by_role("button", name="Allow once").click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    say(page, "See `named.md`, [the plan](./plans/plan.md) and `other.md`")
    said = page.locator("[data-role=assistant]").last
    expect(said.get_by_role("link")).to_have_text(["named.md", "the plan"])
    picture(page, "chat-links")
    said.get_by_role("link", name="named.md").click()
    expect(page.locator(".document")).to_have_text("Named")


def test_two_devices_see_the_same_and_one_answer_counts(
    home: Workspace, page_of: Callable[..., Page]
) -> None:
    laptop = page_of(home)
    say(laptop, 'Both [tool Write {"file_path": "/data/workspace/both.md", "content": "x"}]')
    expect(laptop.locator("[data-role=ask]")).to_be_visible()
    phone = page_of(home, PHONE, touch=True, path=path_of(laptop))
    expect(phone.locator("[data-role=ask] .tool-path")).to_have_text("both.md")
    expect(phone.get_by_role("link", name="both.md")).to_have_count(0)
    assert_at_hand(phone, "chat-permission-phone")
    phone.get_by_role("button", name="Allow once").tap()
    expect(laptop.locator("[data-role=ask]")).to_be_hidden()
    for page in (laptop, phone):
        expect(page.locator("[data-role=assistant]").last).to_contain_text("The tool said:")


def test_each_trouble_has_its_sentence_and_its_cure(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, "[limit five_hour in 3600 s]")
    expect(page.get_by_role("heading", name="Your plan’s limit is reached")).to_be_visible()
    expect(page.locator(".notice .until")).to_contain_text("renewed")
    picture(page, "chat-limit")


def test_a_draft_waits_in_its_conversation(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    say(page, "A first one")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("You said: A first one")
    page.get_by_label("Message Claude").fill("half a thought")
    page.get_by_role("button", name="New chat").first.click()
    expect(page.get_by_label("Message Claude")).to_have_value("")
    page.go_back()
    expect(page.get_by_label("Message Claude")).to_have_value("half a thought")
    page.reload()
    expect(page.get_by_label("Message Claude")).to_have_value("half a thought")
    wait_until(lambda: page.title().startswith("A first one"), "the title")


def test_files_and_pictures_go_along(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home, PHONE, touch=True)
    files: list[FilePayload] = [
        {"name": "cat.png", "mimeType": "image/png", "buffer": PICTURE},
        {"name": "by mistake.txt", "mimeType": "text/plain", "buffer": b"no"},
    ]
    page.get_by_label("Files for Claude").set_input_files(files)
    page.get_by_role("button", name="Leave out by mistake.txt").click()
    page.get_by_label("Message Claude").evaluate(
        """(field, base64) => {
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], "pasted.png", {type: "image/png"}));
            const paste = {clipboardData: given, bubbles: true, cancelable: true};
            field.dispatchEvent(new ClipboardEvent("paste", paste));
        }""",
        base64.b64encode(PICTURE).decode(),
    )
    page.get_by_role("button", name="Add files and more").tap()
    with page.expect_file_chooser() as asked:
        page.get_by_role("menuitem", name="Take a photo").tap()
    camera = asked.value.element
    assert [camera.get_attribute(name) for name in ("accept", "capture")] == ["image/*", "environment"]
    asked.value.set_files({"name": "photo.png", "mimeType": "image/png", "buffer": PICTURE})
    expect(page.get_by_label("Goes along with your message").get_by_role("listitem")).to_have_count(3)
    picture(page, "chat-attaching-phone")
    say(page, "Three pictures")
    pictures = page.locator("[data-role=user] .attachments img")
    expect(pictures).to_have_count(3)
    page.reload()
    expect(pictures).to_have_count(3)
    wait_until(lambda: pictures.first.evaluate("one => one.naturalWidth") == 1, "the picture is shown")
    picture(page, "chat-attachments-phone")


def test_a_video_that_is_dropped_goes_on_where_the_network_broke(
    home: Workspace, page_of: Callable[..., Page], tmp_path: Path, cut_s: float
) -> None:
    video = tmp_path / "holiday.mp4"
    video.write_bytes(random.Random(4).randbytes(6_000_000))
    with Wire(home.port) as wire:
        page = page_of(home, url=wire.url, calm=False)
        expect(page.get_by_label("Message Claude")).to_be_visible()
        begun: list[str] = []
        offsets: list[int] = []
        page.on("request", lambda request: _note(request, begun, offsets))
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", slow)
        drop(page, page.locator("main"), video)
        expect(page.get_by_label("Goes along with your message")).to_contain_text("holiday.mp4")
        with page.expect_request(lambda request: _offset(request) > 1_000_000):
            """A part of it has arrived, and the next one is on its way."""
        wire.cut()
        expect(page.get_by_text("Waits for the connection")).to_be_visible()
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
        picture(page, "chat-attaching-cut-off")
        page.wait_for_timeout(cut_s * 1000)
        before = len(offsets)
        wire.mend()
        say(page, "My holiday")
        assert (len(begun), min(offsets[before:]) > 1_000_000) == (1, True), offsets
        shown = page.locator("[data-role=user] .attachments a")
        assert home.get(f"{shown.get_attribute('href')}").content == video.read_bytes()


def _note(request: Request, begun: list[str], offsets: list[int]) -> None:
    if request.method == "POST" and request.url.endswith("/api/uploads"):
        begun.append(request.url)
    if request.method == "PUT":
        offsets.append(_offset(request))


def _offset(request: Request) -> int:
    """Where the piece of a file begins that is sent."""
    found = re.search(r"/api/uploads/.*offset=(\d+)", request.url)
    return int(found[1]) if found else 0


def test_a_long_text_is_pasted_into_a_message_whole(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    page.get_by_label("Message Claude").evaluate(
        """field => {
            const given = new DataTransfer();
            given.setData("text/plain", "x".repeat(4_000_000));
            const paste = {clipboardData: given, bubbles: true, cancelable: true};
            field.dispatchEvent(new ClipboardEvent("paste", paste));
        }"""
    )
    expect(page.get_by_label("Goes along with your message")).to_contain_text("pasted.txt")
    say(page, "What is this?")
    expect(page.locator("[data-role=assistant]")).to_contain_text("pasted.txt")
    address = page.locator("[data-role=user] .attachments a").get_attribute("href")
    assert home.get(f"{address}").content == b"x" * 4_000_000


def test_commands_and_files_complete_themselves(home: Workspace, page_of: Callable[..., Page]) -> None:
    home.run("sh", "-c", "echo hi > '/data/workspace/my zebra.md'")
    page = page_of(home)
    field = page.get_by_label("Message Claude")
    field.press_sequentially("/compac")
    expect(page.get_by_role("option", name="/compact", exact=False).first).to_be_visible()
    picture(page, "chat-commands")
    field.press("Tab")
    expect(field).to_have_value("/compact ")
    field.fill("")
    field.press_sequentially("Look at @zebra")
    option = page.get_by_role("option", name="my zebra.md")
    expect(option).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == option.get_attribute("id")
    field.press("Enter")
    expect(field).to_have_value('Look at @"my zebra.md" ')
    field.press_sequentially("@nothing-like-this")
    expect(page.get_by_role("listbox", name="Files")).to_have_count(0)


def test_the_model_is_chosen_for_one_conversation(home: Workspace, page_of: Callable[..., Page]) -> None:
    page = page_of(home)
    button = page.get_by_role("button", name="Model and effort")
    button.click()
    page.get_by_role("radio", name="Haiku").check()
    page.keyboard.press("Escape")
    expect(button).to_contain_text("Haiku")
    say(page, "With Haiku")
    expect(page.locator("[data-role=assistant]").last).to_contain_text("You said: With Haiku")
    page.reload()
    expect(button).to_contain_text("Haiku")
    page.get_by_role("button", name="New chat").first.click()
    expect(button).to_contain_text("Claude’s choice")
