"""Images that are broken where only somebody at the page sees it."""

from __future__ import annotations

from tests.broken.making import WEBAPP, Broken, append_to_page, edit, in_page

SEEN = (
    Broken(
        "sideways",
        "The page is wider than its window",
        (
            append_to_page(
                "assets/index-*.css",
                'html::after{content:"";position:absolute;top:0;left:0;width:3000px;height:1px}',
            ),
        ),
        (
            "browser/test_reach.py::test_nothing_scrolls_sideways",
            "browser/test_first_day.py::test_the_page_works_on_a_phone",
        ),
        r"assert \d+ <= 0|the page scrolls sideways",
    ),
    Broken(
        "button-without-a-name",
        "Whoever cannot see does not learn what a button is for",
        (
            append_to_page(
                "assets/index-*.js",
                ';setInterval(()=>{if(document.getElementById("bare"))return;const one=document.createElement("button");'
                'one.id="bare";one.style.cssText="position:fixed;top:50%;left:0;width:24px;height:24px";'
                "document.body.append(one)},20);",
            ),
        ),
        (
            "browser/test_reach.py::test_axe_finds_nothing_serious[desktop]",
            "browser/test_reach.py::test_axe_finds_nothing_serious_beside_the_chat[desktop]",
        ),
        r"button-name|Buttons must have",
    ),
    Broken(
        "hides-the-focus",
        "Nobody sees which button the keyboard would press",
        (append_to_page("assets/index-*.css", "*{outline:none!important}"),),
        ("browser/test_reach.py::test_what_has_the_focus_is_seen",),
        r"assert \['<",
    ),
    Broken(
        "one-direction",
        "Hebrew and Arabic stand as if they were English",
        (append_to_page("assets/index-*.css", "*{direction:ltr!important}"),),
        ("browser/test_reach.py::test_words_of_both_directions_stand_right",),
        r"'ltr' == 'rtl'",
    ),
    Broken(
        "heavy-page",
        "The page brings 80 KB that it does not need",
        (append_to_page("assets/index-*.js", "/*WEIGHT*/"),),
        (
            "image/test_size.py::test_the_first_load_is_light",
            "browser/test_first_day.py::test_the_first_load_is_small",
        ),
        r"assert \d+ < \d+",
    ),
    Broken(
        "forgets-who-comes-back",
        "A page that was cut off is told nothing more once it is back",
        (
            edit(
                f"{WEBAPP}/board.py",
                (
                    "        self._followers[session] = reply\n",
                    "        if epoch is None: self._followers[session] = reply\n",
                ),
            ),
        ),
        ("browser/test_chat.py::test_an_answer_survives_a_network_that_is_cut",),
        r"Written while away|word\d+",
    ),
)

CHATS = (
    Broken(
        "says-nothing-of-what-it-did",
        "What a command has printed is not shown",
        (
            edit(
                f"{WEBAPP}/translate.py",
                (
                    "return change(tool.item_id, status=status, output=output, title=title)",
                    'return change(tool.item_id, status=status, output="", title=title)',
                ),
            ),
        ),
        ("browser/test_chat.py::test_a_command_shows_what_it_did",),
        r"\.plain-text\.output pre",
    ),
    Broken(
        "no-pictures",
        "A picture that Claude looks at is not shown",
        (edit(f"{WEBAPP}/translate.py", ('PICTURES = ("image/png", ', "PICTURES = (")),),
        ("browser/test_chat.py::test_a_picture_that_claude_looks_at_can_be_seen",),
        r"name=\"Pictures\"",
    ),
    Broken(
        "ticks-nothing",
        "What Claude has done of its plan looks as if it were still to do",
        (
            edit(
                f"{WEBAPP}/todos.py",
                ("if isinstance(value, str)}", 'if isinstance(value, str) and name == "text"}'),
            ),
        ),
        ("browser/test_chat.py::test_claudes_to_do_list_is_a_list_that_is_ticked",),
        r"1 of 3 steps done",
    ),
    Broken(
        "no-means-yes",
        "What she does not allow is done",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "return Verdict(allow=False, message=message.strip()",
                    "return Verdict(allow=True, message=message.strip()",
                ),
            ),
        ),
        ("browser/test_chat.py::test_a_permission_is_given_and_another_refused_with_advice",),
        r"Ask my sister first",
    ),
    Broken(
        "does-not-listen",
        "Claude asks, and never gets her answers",
        (edit(f"{WEBAPP}/conversation.py", ('"answers": answers})', '"answers": {}})')),),
        ("browser/test_chat.py::test_claudes_question_takes_several_answers_and_her_own_words",),
        r"Red, Blue, and a little gold",
    ),
    Broken(
        "plan-like-any-tool",
        "A plan is a permission like others: it can only be allowed or not",
        (edit(f"{WEBAPP}/translate.py", ('"ExitPlanMode": "plan"', '"ExitPlanMode": "permission"')),),
        ("browser/test_chat.py::test_a_plan_is_sent_back_and_then_approved",),
        r"Change the plan",
    ),
    Broken(
        "deaf-to-stop",
        "Claude goes on when she stops it",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                ("            self._chore(self._interrupt(self._turn))\n", "            pass\n"),
            ),
        ),
        ("browser/test_chat.py::test_she_stops_claude_and_what_she_wrote_meanwhile_waits_its_turn",),
        r"You stopped Claude\.",
    ),
    Broken(
        "words-as-markup",
        "What anybody writes becomes a part of the page",
        (
            append_to_page(
                "assets/index-*.js",
                ';setInterval(()=>{for(const one of document.querySelectorAll(".prose p,.bubble,.topbar-title,.tab button"))'
                'if(one.textContent.includes("<img"))one.innerHTML=one.textContent},20);',
            ),
        ),
        (
            "browser/test_chat.py::test_nothing_that_anybody_writes_runs",
            "browser/test_terminal.py::test_a_title_that_a_program_sets_is_only_text",
        ),
        r"<img|onerror",
    ),
    Broken(
        "trusts-a-dead-line",
        "A connection that has died without a word is believed for ever",
        (in_page((r"prove\(\)\{", "prove(){return;")),),
        ("browser/test_chat.py::test_what_a_dead_connection_swallows_is_done_over_the_next_one",),
        r"The tool said:",
    ),
    Broken(
        "names-without-links",
        "A file that Claude names has to be looked for",
        (in_page((r"\[(\w)\.input\.file_path,\1\.input\.notebook_path\]", "[]")),),
        ("browser/test_chat.py::test_a_file_that_claude_names_is_a_link",),
        r"get_by_role\(\"link\"",
    ),
    Broken(
        "tells-the-newest-alone",
        "Of several devices only the one that came last hears what happens",
        (
            edit(
                f"{WEBAPP}/board.py",
                ("in list(self._followers.values()):", "in list(self._followers.values())[-1:]:"),
            ),
        ),
        ("browser/test_chat.py::test_two_devices_see_the_same_and_one_answer_counts",),
        r"data-role=ask|data-role=assistant",
    ),
    Broken(
        "no-word-of-the-limit",
        "Nobody learns until when a plan is used up",
        (
            edit(
                f"{WEBAPP}/translate.py",
                (
                    'return "rate_limited", wording.limit_reached(limit), until',
                    'return "rate_limited", wording.limit_reached(limit), None',
                ),
            ),
        ),
        (
            "browser/test_chat.py::test_each_trouble_has_its_sentence_and_its_cure",
            "browser/test_trouble.py::test_a_used_up_plan_says_until_when",
        ),
        r"\.notice \.until",
    ),
    Broken(
        "one-sentence-for-all",
        "Whatever goes wrong, it says that something went wrong",
        (
            edit(
                f"{WEBAPP}/translate.py",
                (
                    "code, words, until = self._worded(kind, text, status)",
                    'code, words, until = "failed", wording.failed(text), None',
                ),
            ),
        ),
        (
            "browser/test_trouble.py::test_claude_is_overloaded_and_she_sends_it_again",
            "browser/test_trouble.py::test_without_a_network_claude_cannot_be_reached",
            "browser/test_trouble.py::"
            "test_a_login_that_expired_is_renewed_beside_the_words_and_her_message_goes_out",
        ),
        r"Claude is busy|Claude cannot be reached|Your login has expired",
    ),
    Broken(
        "expired-before-it-began",
        "Who has never logged in is told that her login has expired",
        (edit(f"{WEBAPP}/translate.py", ('if "not logged in" in text.lower():', "if False:")),),
        (
            "browser/test_first_day.py::test_without_a_login_the_chat_says_so_and_shows_the_way",
            "browser/test_keys_and_log_out.py::test_who_pays_by_use_connects_with_a_key_logs_out_and_in_again",
            "browser/test_keys_and_log_out.py::test_she_signs_out_and_then_logs_claude_out_in_the_middle_of_a_turn",
        ),
        r"not connected",
    ),
    Broken(
        "tries-a-wrong-key",
        "A key that does not fit is tried for minutes before anybody is told",
        (edit(f"{WEBAPP}/session.py", ("is_refused=status in REFUSALS and", "is_refused=False and")),),
        ("browser/test_keys_and_log_out.py::test_a_key_that_does_not_fit_is_told_at_once",),
        r"Your login or key is refused",
    ),
    Broken(
        "keeps-nothing-over-a-reload",
        "What she has typed and not yet sent or saved goes with the page",
        (in_page((r"\w+\.set\(this\.keyOf\((\w)\),(?!void)\w\)", "!0")),),
        (
            "browser/test_chat.py::test_a_draft_waits_in_its_conversation",
            "browser/test_files.py::test_what_she_has_typed_and_not_saved_is_never_lost",
        ),
        r"half a thought|not saved",
    ),
    Broken(
        "leaves-files-behind",
        "What goes along with a message is not kept with it",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "message = Sent(message_id, now(), text, attachments or [])",
                    "message = Sent(message_id, now(), text, [])",
                ),
            ),
        ),
        (
            "browser/test_chat.py::test_files_and_pictures_go_along",
            "browser/test_chat.py::test_a_long_text_is_pasted_into_a_message_whole",
        ),
        r"\.attachments|pasted\.txt",
    ),
    Broken(
        "begins-uploads-anew",
        "A file on its way in begins anew where the network broke",
        (
            edit(
                f"{WEBAPP}/files/uploads.py",
                (
                    "                pass  # what has come counts; the rest may follow\n",
                    "                held = bytearray()\n                file.truncate(0)\n",
                ),
            ),
        ),
        ("browser/test_chat.py::test_a_video_that_is_dropped_goes_on_where_the_network_broke",),
        r"\(1, False\)",
    ),
    Broken(
        "completes-nothing",
        "The name of a file has to be typed to its end",
        (
            edit(
                f"{WEBAPP}/files/routes.py",
                (
                    '{"matches": await _unless_left(request, self._completion.ask(query, limit))}',
                    '{"matches": []}',
                ),
            ),
        ),
        ("browser/test_chat.py::test_commands_and_files_complete_themselves",),
        r"my zebra\.md",
    ),
    Broken(
        "one-model-for-all",
        "A model that she chooses for one conversation is not kept",
        (edit(f"{WEBAPP}/conversation.py", ("        self.journal.choose(chosen)\n", "")),),
        ("browser/test_chat.py::test_the_model_is_chosen_for_one_conversation",),
        r"Haiku",
    ),
)

CONVERSATIONS = (
    Broken(
        "finds-titles-alone",
        "A conversation is not found by what was said in it",
        (
            edit(
                f"{WEBAPP}/conversations.py",
                ("                self._keep_words(conversation, SAID, words)\n", "                pass\n"),
            ),
        ),
        ("browser/test_conversations.py::test_it_is_renamed_and_found_by_its_words",),
        r"\.conversations a",
    ),
    Broken(
        "deletes-for-good",
        "A conversation that she deletes is gone",
        (
            edit(
                f"{WEBAPP}/conversations.py",
                ("        begun.rename(place)\n", "        shutil.rmtree(begun)\n"),
            ),
        ),
        ("browser/test_conversations.py::test_what_she_deletes_can_be_brought_back",),
        r"Delete me by mistake|Recently deleted",
    ),
    Broken(
        "empty-page",
        "A conversation that she saves is its title alone",
        (edit(f"{WEBAPP}/export.py", ("    for items in turns:\n", "    for items in ():\n")),),
        ("browser/test_conversations.py::test_it_goes_on_in_a_copy_and_leaves_as_markdown",),
        r"'You said: Copy this' in '# Copy this",
    ),
    Broken(
        "said-is-said",
        "A message that she writes anew stands beside what she wrote before",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "        self.journal.drop(*dict.fromkeys([*later, *_from(message_id, self.journal)]))\n",
                    "",
                ),
            ),
        ),
        ("browser/test_conversations.py::test_a_message_is_written_anew_and_asked_once_more",),
        r"data-role=user",
    ),
    Broken(
        "forgets-what-was-earlier",
        "Of what was said earlier a part never comes",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "        return await asyncio.to_thread(page, before, limit, self.journal, open_turn=open_turn)\n",
                    "        items, more = await asyncio.to_thread(page, before, limit, self.journal, open_turn=open_turn)\n"
                    "        return items[:-3], more\n",
                ),
            ),
        ),
        ("browser/test_conversations.py::test_what_was_said_earlier_comes_as_she_scrolls_up[laptop]",),
        r'waiting for event "request"',
    ),
    Broken(
        "all-at-once",
        "The list comes whole, however long it is",
        (
            edit(
                f"{WEBAPP}/conversations.py",
                ("in found[offset : offset + limit]]", "in found]"),
            ),
        ),
        ("browser/test_conversations.py::test_a_thousand_of_them_stay_quick",),
        r"assert 1000 < 1000",
    ),
    Broken(
        "takes-the-login-along",
        "Her login lies in the archive that she takes along",
        (
            edit(
                f"{WEBAPP}/data/parts.py",
                ('    "CLAUDE.md",\n', '    "CLAUDE.md",\n    ".credentials.json",\n'),
            ),
        ),
        ("browser/test_data.py::test_she_moves_with_chats_files_and_settings",),
        r"the login stays behind",
    ),
)

FILES = (
    Broken(
        "no-trash",
        "A file that she deletes is gone",
        (
            edit(
                f"{WEBAPP}/files/trash.py",
                (
                    "        return self._with_size(home, one)\n",
                    "        _remove(home)\n        return one\n",
                ),
            ),
        ),
        ("browser/test_files.py::test_a_file_is_made_renamed_and_brought_back",),
        r"days\.txt",
    ),
    Broken(
        "last-one-wins",
        "Saving writes over what another has written meanwhile",
        (
            edit(
                f"{WEBAPP}/files/text.py",
                (
                    "            if (current.etag if current else None) != edit.etag or (current and not current.etag):\n",
                    "            edit = replace(edit, etag=current.etag if current else None)\n            if False:\n",
                ),
            ),
        ),
        ("browser/test_files.py::test_what_another_wrote_meanwhile_is_not_lost",),
        r"Somebody changed this file meanwhile",
    ),
    Broken(
        "enter-does-nothing",
        "Enter does not send a name that she has typed",
        (
            in_page(
                (
                    r"(\w)=>\1\.key===`Enter`&&\w+\(\1\)&&\1\.preventDefault\(\)",
                    r"\1=>\1.key===`Enter`&&\1.preventDefault()",
                )
            ),
        ),
        ("browser/test_files.py::test_enter_sends_a_name",),
        r"b\.txt",
    ),
    Broken(
        "first-of-several",
        "Of several files only the first is fetched",
        (
            edit(
                f"{WEBAPP}/files/routes.py",
                ('request.query_params.getlist("path")]', 'request.query_params.getlist("path")][:1]'),
            ),
        ),
        ("browser/test_files.py::test_several_files_are_moved_fetched_and_deleted_at_once",),
        r"right set:\s+'(one|two)\.txt'",
    ),
    Broken(
        "finds-names-alone",
        "A file is not found by what is in it",
        (
            edit(
                f"{WEBAPP}/files/routes.py",
                ('in_content=request.query_params.get("content", "1") == "1"', "in_content=False"),
            ),
        ),
        ("browser/test_files.py::test_files_come_and_go",),
        r"old\.txt",
    ),
    Broken(
        "way-out-of-the-workspace",
        "A link in the workspace shows whatever the machine holds",
        (
            edit(
                f"{WEBAPP}/files/place.py",
                (
                    '{os.fsdecode(self._root)}/"):\n            raise outside()\n',
                    '{os.fsdecode(self._root)}/"):\n            self._open.append(os.open("/", _FOLDER))\n'
                    "            self.names.append(b'')\n            return target.split(b'/')\n",
                ),
            ),
        ),
        ("browser/test_files.py::test_each_file_is_shown_as_what_it_is_and_nothing_in_it_runs",),
        r"This leads out of your workspace",
    ),
    Broken(
        "one-sheet",
        "Of a workbook there is but the first sheet",
        (
            edit(
                f"{WEBAPP}/files/routes.py",
                ('sheet=request.query_params.get("sheet", "").replace("\\0", "")', 'sheet=""'),
            ),
        ),
        ("browser/test_files.py::test_a_workbook_is_shown_sheet_by_sheet",),
        r"3680",
    ),
    Broken(
        "not-in-a-frame",
        "A document may not be shown within the page",
        (
            edit(
                f"{WEBAPP}/files/media.py",
                ("img-src data:; frame-ancestors 'self'\"", "img-src data:; frame-ancestors 'none'\""),
            ),
        ),
        ("browser/test_files.py::test_a_pdf_is_shown_by_the_browsers_own_viewer",),
        r'waiting for event "framenavigated"',
    ),
    Broken(
        "half-the-screen",
        "On a phone a file has to share the screen with its folder",
        (in_page((r"\.files-list\{display:none\}", ".files-list{display:flex}")),),
        ("browser/test_files.py::test_on_a_phone_a_file_takes_the_whole_screen",),
        r"a\.md",
    ),
)

SETTINGS = (
    Broken(
        "each-device-for-itself",
        "What she chooses on one device the others learn when they are opened anew",
        (edit(f"{WEBAPP}/settings.py", ("                self._changed(after)\n", "")),),
        (
            "browser/test_settings.py::test_what_she_chooses_holds_at_once_on_each_device",
            "browser/test_chat.py::test_claudes_steps_are_shown_in_short_or_in_full",
        ),
        r"data-theme|name=\"לילך|\.plain-text\.output pre",
    ),
    Broken(
        "enter-always-sends",
        "Enter sends, whatever she has chosen",
        (in_page((r"\w+\.value\.enter_sends\)&&", "!0)&&")),),
        ("browser/test_settings.py::test_enter_starts_a_new_line_where_she_wants_that",),
        r"to have Value 'one",
    ),
    Broken(
        "one-language",
        "Claude is not told which language she chose",
        (
            edit(
                f"{WEBAPP}/session.py",
                (
                    'settings=json.dumps({"language": way.language}) if way.language else None',
                    "settings=None",
                ),
            ),
        ),
        ("browser/test_settings.py::test_claude_answers_in_the_language_that_she_chose",),
        r"'עברית' in",
    ),
    Broken(
        "asked-once",
        "One click lets Claude do everything",
        (
            in_page(
                (r"return (\w)!==`bypassPermissions`\|\|await", r"return \1!==`bypassPermissions`||!0||await")
            ),
        ),
        ("browser/test_settings.py::test_letting_claude_do_everything_is_asked_twice",),
        r"Cancel",
    ),
    Broken(
        "allowed-for-ever",
        "What she always allowed cannot be taken back",
        (
            edit(
                f"{WEBAPP}/abilities.py",
                ("left = [one for one in given[how] if one != rule]", "left = given[how]"),
            ),
        ),
        ("browser/test_settings.py::test_what_was_always_allowed_is_taken_back",),
        r"name=\"Allow once\"",
    ),
    Broken(
        "no-licences",
        "Nobody can read under which licences the page comes",
        ("RUN rm /opt/jarvis/app/static/licences.txt*",),
        ("browser/test_settings.py::test_the_versions_and_licences_are_there",),
        r"preact",
    ),
    Broken(
        "asks-at-the-door",
        "Whoever opens the page is asked at once for notifications",
        (append_to_page("assets/index-*.js", ";Notification.requestPermission();"),),
        ("browser/test_settings.py::test_nothing_is_asked_before_she_wants_notifications",),
        r"asked before she wanted",
    ),
    Broken(
        "tells-nobody",
        "While she looks elsewhere nobody tells her that Claude waits",
        (in_page((r"\(await navigator\.serviceWorker\.ready\)\.showNotification\(", "(()=>0)(")),),
        ("browser/test_settings.py::test_while_she_looks_elsewhere_she_is_told_of_cards_and_of_ends",),
        r"waited .* for word of the card",
    ),
    Broken(
        "news-for-nobody",
        "News that come while no page is open are not shown",
        (in_page((r"self\.registration\.showNotification\(", "console.info(")),),
        (
            "browser/test_settings.py::"
            "test_news_that_come_past_all_pages_are_shown_and_take_nothing_from_what_a_page_has_shown",
        ),
        r"waited .* for the news",
    ),
    Broken(
        "nothing-without-a-line",
        "Without a network she sees the browser's own error",
        (in_page((r"return away\(\);", "return Response.error();")),),
        ("browser/test_settings.py::test_without_a_network_the_page_says_so_and_comes_back",),
        r"Your workspace cannot be reached|ERR_",
    ),
)

REACH = (
    Broken(
        "no-shortcuts",
        "Keys by which the page can be used do nothing",
        (in_page((r"(\w)\?\.run&&\((\w)\.preventDefault\(\),\1\.run\(\)\)", "0")),),
        ("browser/test_reach.py::test_the_keyboard_is_enough",),
        r"Keyboard shortcuts",
    ),
    Broken(
        "sends-half-a-word",
        "Who writes by an input method sends with the key that ends a word",
        (in_page((r"return (\w)\.isComposing\|\|\1\.keyCode===229", "return!1")),),
        ("browser/test_reach.py::test_an_input_method_never_sends",),
        r"\.bubble|You said: 日本",
    ),
    Broken(
        "below-the-keyboard",
        "A phone's keyboard covers what she types",
        (
            in_page(
                (r"visualViewport\?\.addEventListener\(`resize`", "visualViewport?.addEventListener(`never`")
            ),
        ),
        ("browser/test_reach.py::test_a_phones_keyboard_covers_nothing",),
        r"<= 480",
    ),
    Broken(
        "gives-up-at-once",
        "A file of the page that does not come once never comes",
        (in_page((r"\? location\.reload\(\) : told", "? 0 : told")),),
        ("browser/test_reach.py::test_a_file_of_the_page_that_does_not_come_is_asked_for_again[script]",),
        r"Message Claude|p#again",
    ),
    Broken(
        "lost-for-good",
        "A part of the page that does not come once never comes",
        (in_page((r"\|\|\w\+1===\w\)throw", "||!0)throw")),),
        ("browser/test_reach.py::test_a_part_of_the_page_that_does_not_come_is_asked_for_again[script]",),
        r"Search files",
    ),
)

TERMINALS = (
    Broken(
        "empty-when-she-comes-back",
        "A shell is there when she comes back, and what it showed is not",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                ("        viewer.begin(drawn)\n", "        viewer.begin(self.history.end)\n"),
            ),
        ),
        (
            "browser/test_first_day.py::test_her_shell_is_still_there_when_she_comes_back",
            "browser/test_terminal.py::test_two_devices_share_a_shell_and_its_name",
        ),
        r"waited .* for (the same shell is shown again|'\$' in the terminal)",
    ),
    Broken(
        "still-after-a-cut",
        "A terminal that was cut off shows nothing more once it is back",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                (
                    "        self._viewers.insert(0, viewer)\n",
                    "        if not drawn: self._viewers.insert(0, viewer)\n",
                ),
            ),
        ),
        ("browser/test_terminal.py::test_a_flood_survives_a_cut_and_a_sleep",),
        r"waited .* for 'over-42' in the terminal",
    ),
    Broken(
        "runs-what-is-pasted",
        "Lines that are pasted run as they come, and nobody asks",
        (in_page((r"/\[\\r\\n\]\./\.test\((\w+)\)", "!1")),),
        ("browser/test_terminal.py::test_lines_that_would_run_as_they_come_are_asked_about",),
        r"Paste several lines",
    ),
    Broken(
        "no-search-in-terminals",
        "What a terminal has shown cannot be searched",
        ("RUN rm /opt/jarvis/app/static/assets/addon-search-*",),
        ("browser/test_terminal.py::test_its_text_is_searched_copied_and_pasted",),
        r"111 of 111",
    ),
    Broken(
        "wrong-key",
        "A key above a phone's keyboard sends another one",
        (in_page((r"`Up`,`\\x1B\[A`", "`Up`,`k`")),),
        ("browser/test_terminal.py::test_keys_that_a_phone_has_not_reach_the_shell",),
        r"waited .*\[A' in the terminal",
    ),
    Broken(
        "always-dark",
        "A terminal is dark on a light page, too",
        (in_page((r"\.options\.theme=\w+\.value\?(\w+):\w+", r".options.theme=\1")),),
        ("browser/test_terminal.py::test_it_is_light_on_a_light_page_and_dark_on_a_dark_one",),
        r"rgb\(253, 252, 250\)",
    ),
    Broken(
        "follows-any-link",
        "A link that a program prints may run in the page",
        (
            in_page(
                (r"allowNonHttpProtocols:!1", "allowNonHttpProtocols:!0"),
                (
                    r"\w+\((\w)\)&&window\.open\(\1,`_blank`,`noopener,noreferrer`\)",
                    r"window.open(\1,`_blank`,`noopener`)",
                ),
            ),
        ),
        ("browser/test_terminal.py::test_links_lead_to_the_web_and_nowhere_else",),
        r"Running the JavaScript URL",
    ),
    Broken(
        "blind-while-the-pointer-rests",
        "A link that comes to where the pointer rests is none",
        (in_page((r"new MouseEvent\(`mousemove`", "new MouseEvent(`mousemoved`")),),
        ("browser/test_terminal.py::test_a_link_that_comes_to_where_the_pointer_rests_is_one",),
        r"terminal-hint",
    ),
    Broken(
        "drops-what-is-much",
        "Of each piece of a long paste a terminal takes the begin",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                (
                    "            return\n        if data == INTERRUPT:",
                    "            return\n        data = data[:8192]\n        if data == INTERRUPT:",
                ),
            ),
        ),
        ("browser/test_terminal.py::test_twenty_megabytes_are_pasted_whole",),
        r"waited .* for 'took-42'",
    ),
)
