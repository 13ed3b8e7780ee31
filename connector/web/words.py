"""The sentences of the pages that people see in a browser."""

from clients.notices import N_, Plural, add_sentences

add_sentences(
    {
        # Pages are connected by a login.
        "connect_title": N_("Connect pages with {service}"),
        "connect_choose": N_(
            "Choose the pages whose messages are to become tickets on this desk. Replies of your agents are "
            "sent in the name of the page."
        ),
        "connect_pages": N_("Pages"),
        "connect_button": N_("Connect"),
        "connect_none_chosen": N_("No page was chosen. Choose at least one."),
        "connect_none_open": N_("None of your pages can be connected to this desk."),
        "connect_result": N_("What became of the pages"),
        "connect_attention": N_("This still needs attention:"),
        "connect_back": N_("Back to the helpdesk"),
        "connect_off": N_(
            "Pages cannot be connected here yet. Ask whoever runs the connector to set {settings} in its "
            "settings."
        ),
        "connect_store_away": N_("The connector cannot store anything at the moment. Try again in a minute."),
        "connect_service_away": N_("{reason}. Start again from your helpdesk in a minute."),
        "connect_try_again": N_(
            "Start again from your helpdesk, and give all permissions for this page; if that does not help, "
            "ask whoever runs the connector."
        ),
        "page_is_new": N_("Not connected yet."),
        "page_is_here": N_(
            "Connected to this desk. It gets a new access token, and replies that wait for one are sent."
        ),
        "page_is_elsewhere": N_("Connected to another desk. Remove it there first, then start again."),
        "page_is_fixed": N_(
            "Listed in the connector's settings file: whoever runs the connector has to change it there."
        ),
        "page_is_unreadable": N_(
            "Connected, but its secrets cannot be decrypted. Ask whoever runs the connector to check "
            "secret_key."
        ),
        "page_connected": N_("Connected. New messages to the page become tickets."),
        "page_renewed": N_("Connected with a new access token. Replies that waited for it are being sent."),
        "page_not_connected": N_("Not connected: {reason}"),
        "page_changed_meanwhile": N_(
            "Not connected: somebody else changed its connection at the same time. Start again from your "
            "helpdesk."
        ),
        "page_cannot_be_stored": N_(
            "Not connected: the connector could not store it. Ask whoever runs the connector to look at its "
            "log."
        ),
        # When something was.
        "never": N_("never"),
        "ago_moment": N_("just now"),
        "ago_minutes": Plural("{count} minute ago", "{count} minutes ago"),
        "ago_hours": Plural("{count} hour ago", "{count} hours ago"),
        "ago_days": Plural("{count} day ago", "{count} days ago"),
        # The Messenger tab of a desk.
        "tab_title": N_("Messenger"),
        "tab_intro": N_(
            "Messages to these Facebook pages become tickets on this desk; what your agents reply is sent "
            "back."
        ),
        "tab_pages": N_("Pages of this desk"),
        "tab_no_pages": N_("No page leads to this desk yet."),
        "tab_page_id": N_("Page ID {page}"),
        "tab_since": N_("found {time}"),
        "state_working": N_("Working"),
        "state_attention": N_("Needs attention"),
        "state_reconnect": N_("Reconnect"),
        "state_off": N_("Switched off"),
        "state_working_means": N_("Messages become tickets, and replies are sent."),
        "state_off_means": N_(
            "New messages do not become tickets. Once it is on again, what was written meanwhile is fetched."
        ),
        "tab_paused": N_("Nothing is sent at the moment; replies wait in order."),
        "tab_last_in": N_("Last message"),
        "tab_last_out": N_("Last reply"),
        "tab_waiting": N_("Waiting"),
        "tab_nothing": N_("nothing"),
        "tab_waiting_in": Plural(
            "messages of {count} person, the first since {time}",
            "messages of {count} people, the first since {time}",
        ),
        "tab_waiting_out": Plural(
            "replies to {count} person, the first since {time}",
            "replies to {count} people, the first since {time}",
        ),
        "tab_dead": N_("Not delivered"),
        "tab_dead_count": Plural(
            "{count} message or reply; whoever runs the connector can see why",
            "{count} messages and replies; whoever runs the connector can see why",
        ),
        "tab_backfill": N_("Being fetched"),
        "tab_backfill_progress": N_(
            "what was missed: {looked_at} of {known} conversations have been looked at"
        ),
        "tab_day": N_("In the last 24 hours: {came} received, {left} sent"),
        "tab_reconnect": N_("Reconnect with Facebook"),
        "tab_new_token": N_("Enter a new token"),
        "tab_switch_on": N_("Switch on"),
        "tab_switch_off": N_("Switch off"),
        "tab_repair": N_("Repair"),
        "tab_repair_how": N_("Press “Repair”: the connector puts it right."),
        "tab_reconnect_how": N_(
            "Press “Reconnect with Facebook” and log in as an administrator of the page: it gets a new "
            "token, and replies that wait are sent."
        ),
        "tab_test": N_("Test connection"),
        "tab_connect": N_("Connect a page"),
        "tab_login_intro": N_(
            "Log in with Facebook, choose your pages, and they are connected, with access that does not "
            "expire."
        ),
        "tab_login": N_("Connect with Facebook"),
        "tab_by_hand": N_("Connect a page by hand"),
        "tab_connect_page": N_("Connect the page"),
        "tab_settings": N_("Settings of the pages"),
        "tab_save": N_("Save"),
        "tab_remove": N_("Remove this page"),
        "tab_more": N_("More settings"),
        "tab_back": N_("Back to the pages"),
        "tab_not_saved": N_("It was not saved. Correct the fields that are marked."),
        "tab_changed_meanwhile": N_(
            "It was not saved: somebody else changed this page meanwhile. This is how it is now; enter your "
            "change again."
        ),
        "tab_taken": N_(
            "Page {page} is connected already, to this desk or to another. Remove it there first."
        ),
        "tab_no_page": N_("No such page leads to this desk. Open the tab from your helpdesk again."),
        "tab_saved": N_("The page is saved. “Test connection” shows whether everything works."),
        "tab_on": N_("The page is switched on."),
        "tab_off": N_("The page is switched off."),
        "tab_removed": N_("The page is removed, and Facebook sends no more of its messages."),
        "tab_removed_only_here": N_(
            "The page is removed, but Facebook could not be told to send no more of its messages: they are "
            "refused here. Remove the app in the settings of the page."
        ),
        "field_page_id": N_("Page ID"),
        "field_page_name": N_("Page name"),
        "field_page_access_token": N_("Page access token"),
        "field_app_secret": N_("App secret"),
        "field_verify_token": N_("Verify token"),
        "field_category_id": N_("Default category"),
        "field_active": N_("Messenger active"),
        "field_language": N_("Language of notes to agents"),
        "field_remind_before": N_("Remind agents before the 24 hours for a reply are over, in hours"),
        "field_human_agent": N_("Reply after 24 hours with the Human Agent permission"),
        "field_take_control": N_("A reply takes the conversation over from another app"),
        "field_link_large_files": N_("Send files over 25 MiB as a link"),
        "hint_page_id": N_("On Facebook: the page, About, Page transparency."),
        "hint_page_name": N_("Shown on tickets."),
        "hint_page_access_token": N_("From step 2."),
        "hint_app_secret": N_("Meta app: Settings, Basic."),
        "hint_verify_token": N_("Made for you; enter the same at Meta. Any other text will do as well."),
        "hint_category_id": N_(
            "New tickets get it; where the category has an owner, they are assigned to them."
        ),
        "hint_remind_before": N_("For example 2; 0 or empty: no reminder."),
        "no_category": N_("none"),
        "secret_kept": N_("Stored. Leave it empty to keep it."),
        "secret_kept_ends": N_("Stored; it ends in …{end}. Leave it empty to keep it."),
        "wrong_page_id": N_(
            "This is no page ID: it is a number. On Facebook: the page, About, Page transparency."
        ),
        "wrong_page_name": N_("This name cannot be used."),
        "wrong_page_access_token": N_("This is no page access token. Copy it again, whole, from step 2."),
        "wrong_app_secret": N_("This is no app secret: it has 32 characters, 0 to 9 and a to f."),
        "wrong_verify_token": N_("The verify token must not be empty."),
        "wrong_category_id": N_("This category cannot be used."),
        "wrong_remind_before": N_("Enter a number of hours from 0 to less than 24."),
        "step_app": N_("Meta app."),
        "step_app_how": N_(
            "Use the Meta app that your pages are to share, or create one at developers.facebook.com (type: "
            "Business) and add the product Messenger."
        ),
        "step_token": N_("Page access token."),
        "step_token_how": N_(
            "In the app: Messenger, Messenger API settings, Generate access tokens. Connect the page, then "
            "generate and copy its token. One that was generated by an administrator with a long-lived login"
            " does not expire."
        ),
        "step_webhook": N_("Webhook."),
        "step_webhook_how": N_(
            "In the app: Messenger, Messenger API settings, Configure webhooks. Enter this callback URL:"
        ),
        "step_callback": N_("Callback URL"),
        "step_verify": N_(
            "and as verify token the one that you saved in the form. Choose the field messages at least, "
            "then “Verify and save”."
        ),
        "step_test": N_("Test."),
        "step_test_how": N_(
            "Press “Test connection”, then “Repair”: the connector subscribes the app and the page to all "
            "that it needs. Then write to the page: the message becomes a ticket here, and what you reply is"
            " sent back."
        ),
        "step_form": N_("This form."),
        "step_form_how": N_("Fill it in and save it."),
        "step_live": N_("App Review and going live."),
        "step_live_how": N_(
            "Until then only people with a role in the app can write. In the app: App Review, Permissions "
            "and features: request pages_messaging, with a privacy policy, a description and a screencast; "
            "once it is granted, switch the app to Live."
        ),
        "check_intro": N_("Testing the connection of page {page}. Each step appears as it is done."),
        "check_good": N_("Everything works."),
        "check_stops": Plural("{count} fault stops messages.", "{count} faults stop messages."),
        "check_warns": Plural(
            "Messages get through; {count} thing needs attention.",
            "Messages get through; {count} things need attention.",
        ),
        "level_ok": N_("In order:"),
        "level_unknown": N_("Not known:"),
        "level_warning": N_("Needs attention:"),
        "level_stops_messages": N_("Stops messages:"),
        "remove_question": N_("Remove page {page} from this desk?"),
        "remove_means": N_(
            "Facebook is told to send no more of its messages. Tickets stay. Replies that still wait are not"
            " sent."
        ),
        # People ask for their data to be deleted.
        "deletion_title": N_("Your request to delete your data"),
        "deletion_request": N_("Requested on {time}. Code: {number}."),
        "deletion_waiting": N_("It is being carried out. Look at this page again later."),
        "deletion_done": N_(
            "Done. All that this service kept of you is deleted, and the helpdesk was told to delete your "
            "conversations."
        ),
        "deletion_here_only": N_(
            "All that this service kept of you is deleted. Your conversations in the helpdesk have to be "
            "deleted there by hand: ask the page that you wrote to."
        ),
        "deletion_not_found": N_(
            "No conversation of yours was found. We are told who you are by an id that is not the one of "
            "conversations, and nothing is kept under it. If you wrote to a page, write to it again and name"
            " the code above: its team can then find your conversation, and have it deleted."
        ),
        "deletion_of_pages": N_(
            "If you connected pages here with your login, they are switched off, and it is kept no longer "
            "that it was you."
        ),
        "deletion_shown_for": N_("This page can be seen for {days} days after the request."),
        "deletion_unknown": N_(
            "There is no request with this code, or it was made more than {days} days ago. Check the address."
        ),
        "connect_link_incomplete": N_("This link is not complete. Open it from your helpdesk again."),
        "connect_link_forged": N_(
            "This link was changed on the way, or was not made by your helpdesk. Open it from your helpdesk "
            "again; if that does not help, ask whoever runs it to check admin_token."
        ),
        "connect_link_expired": N_("This link has expired. Open it from your helpdesk again."),
        "connect_link_too_long": N_(
            "This link is good for longer than an hour, which is not allowed. Ask whoever runs your helpdesk"
            " to check its clock, and how it makes the link."
        ),
        "login_not_begun": N_(
            "This login was not begun in this browser, or longer than {minutes} minutes ago. Start again "
            "from your helpdesk, and allow cookies."
        ),
        "choice_over": N_(
            "These pages were chosen already, or longer than {minutes} minutes have gone by. To connect "
            "more, start again from your helpdesk."
        ),
        # The board.
        "board_title": N_("Connector board"),
        "board_off": N_("The board is off. Set admin_token in the settings to have it."),
        "board_link_incomplete": N_(
            "This link is not complete. Run “connector board”, which prints a new one."
        ),
        "board_link_forged": N_(
            "This link was changed on the way, or admin_token is another one by now. Run “connector board”, "
            "which prints a new one."
        ),
        "board_link_expired": N_(
            "This page is open no longer. Run “connector board”, which prints a new link."
        ),
        "board_link_too_long": N_(
            "This link is good for longer than an hour, which is not allowed. Check the clocks, and run "
            "“connector board” again."
        ),
        "board_nav": N_("Parts of the board"),
        "board_nav_connections": N_("Pages"),
        "board_nav_dead": N_("Dead letters"),
        "board_nav_unknown": N_("Unknown events"),
        "board_as_of": N_("As of"),
        "board_stale": N_(
            "Not brought up to date since: the connector does not answer, or scripts are off. Reload the "
            "page."
        ),
        "board_moments": N_("just now"),
        "board_moments_long": N_("for less than a minute"),
        "board_minutes_long": Plural("for {count} min", "for {count} min"),
        "board_hours_long": Plural("for {count} h", "for {count} h"),
        "board_days_long": Plural("for {count} day", "for {count} days"),
        "board_minutes": Plural("{count} min ago", "{count} min ago"),
        "board_hours": Plural("{count} h ago", "{count} h ago"),
        "board_days": Plural("{count} day ago", "{count} days ago"),
        "board_well": N_("All is well: every page works, and every message was delivered."),
        "board_stopped": N_("No page gets its messages through at the moment."),
        "board_some_stopped": Plural(
            "Messages of {count} page do not get through.", "Messages of {count} pages do not get through."
        ),
        "board_shared_attention": N_("Something that all pages need wants attention."),
        "board_to_reconnect": Plural(
            "{count} page has to be connected again.", "{count} pages have to be connected again."
        ),
        "board_to_look_at": Plural("{count} page needs attention.", "{count} pages need attention."),
        "board_dead": Plural("{count} message was not delivered.", "{count} messages were not delivered."),
        "board_is_reconnect": N_("Reconnect"),
        "board_is_attention": N_("Needs attention"),
        "board_is_working": N_("Working"),
        "board_is_off": N_("Off"),
        "board_people_wait": N_("people wait"),
        "board_search": N_("Name, page id or desk"),
        "board_state": N_("State"),
        "board_all_states": N_("All"),
        "board_find": N_("Search"),
        "board_shown": N_("{first} to {last} of {found}"),
        "board_none_found": N_("Nothing matches."),
        "board_show_all": N_("Show all"),
        "board_pages": N_("Pages of the list"),
        "board_before": N_("Previous"),
        "board_after": N_("Next"),
        "board_page_of": N_("{number} of {pages}"),
        "board_todo": N_("To do:"),
        "board_ids": N_("page {page_id}, desk {desk_id}"),
        "board_last_in": N_("Last message"),
        "board_last_out": N_("Last reply"),
        "board_today": N_("In 24 hours"),
        "board_in_out": N_("{came} in, {left} out"),
        "board_waits": N_("Waits"),
        "board_to_helpdesk": Plural("{count} person for the helpdesk", "{count} people for the helpdesk"),
        "board_to_people": Plural("{count} person for a reply", "{count} people for a reply"),
        "board_dead_of": Plural("{count} dead letter of {page}", "{count} dead letters of {page}"),
        "board_slowed": N_("Slowed down: {reason}"),
        "board_paused": N_("Replies are paused: {reason}"),
        "board_pause_means": N_("Replies wait, and none is lost. New messages still become tickets."),
        "board_wait": N_("nothing; replies go on by themselves."),
        "board_reconnect": N_(
            "have an administrator of the page connect it again, or give it a new access token with "
            "“connector connections token”."
        ),
        "board_helpdesk": N_("Helpdesk"),
        "board_store": N_("Store"),
        "board_helpdesk_paused": N_("The helpdesk does not work: {reason}"),
        "board_helpdesk_means": N_("Messages wait and become tickets once it works again. None is lost."),
        "board_helpdesk_todo": N_("see that the helpdesk is up, and that the connector can reach it."),
        "board_overdue": N_("Messages wait, though nothing holds them up."),
        "board_overdue_means": N_("They wait until a worker takes them. None is lost."),
        "board_overdue_todo": N_("see that a worker runs, and that there are enough of them."),
        "board_backfills": N_("Backfills"),
        "board_backfills_are": N_("Messages that no webhook brought are fetched from these pages."),
        "board_fetching": N_("Running"),
        "board_goes_on": N_("Goes on at {time}"),
        "board_messages_since": N_("messages since {time}"),
        "board_history_since": N_("history since {time}"),
        "board_progress": N_("{looked_at} of {known} conversations, {messages} messages, {new} of them new"),
        "board_progress_more": N_(
            "{looked_at} of {known} or more conversations, {messages} messages, {new} of them new"
        ),
        "board_backfills_left": Plural(
            "{count} more waits for its turn.", "{count} more wait for their turn."
        ),
        "board_errors": N_("Last errors"),
        "board_no_errors": N_("None."),
        "board_refused": Plural(
            "A webhook was refused ({reason}); the log says what to do (webhook_refused).",
            "{count} webhooks were refused so far ({reason}); the log says what to do (webhook_refused).",
        ),
        "board_letter": N_("Details of {id}"),
        "board_dead_are": N_(
            "Messages and replies that could not be delivered. They stay until they are retried or dropped."
        ),
        "board_unknown_are": N_(
            "Events of kinds that this version does not know. Their texts stand on the tickets already; once "
            "an upgrade knows a kind, they can be shown anew."
        ),
        "board_none_dead": N_("There are no dead letters."),
        "board_none_unknown": N_("There are no unknown events."),
        "board_of_page": N_("Page id"),
        "board_reason_has": N_("Words in code or reason"),
        "board_newest_only": Plural(
            "Only the newest one was looked at.", "Only the newest {count} were looked at."
        ),
        "board_tick": N_("Tick those that you mean"),
        "board_died": N_("died at"),
        "board_kept": N_("kept at"),
        "board_retry_dead": N_("Retry those ticked"),
        "board_retry_unknown": N_("Replay those ticked"),
        "board_drop_ticked": N_("Drop those ticked …"),
        "board_retry_all_dead": Plural("Retry the one listed", "Retry all {count} listed"),
        "board_retry_all_unknown": Plural("Replay the one listed", "Replay all {count} listed"),
        "board_drop_all": Plural("Drop the one listed …", "Drop all {count} listed …"),
        "board_most": N_("At most {count} at once, the oldest first."),
        "board_nothing_ticked": N_("Nothing was ticked, so nothing was done."),
        "board_requeued": Plural("{count} requeued.", "{count} requeued."),
        "board_dropped": Plural("{count} dropped.", "{count} dropped."),
        "board_gone": Plural(
            "{count} was not there any more: somebody else retried or dropped it.",
            "{count} were not there any more: somebody else retried or dropped them.",
        ),
        "board_newer": Plural(
            "This version of the connector does not know the kind of {count}: upgrade first.",
            "This version of the connector does not know the kinds of {count}: upgrade first.",
        ),
        "board_dead_gone": N_("There is no dead letter {id} any more: it was retried or dropped."),
        "board_unknown_gone": N_("There is no unknown event {id} any more: it was replayed or dropped."),
        "board_dead_one": N_("Dead letter {id}"),
        "board_unknown_one": N_("Unknown event {id}"),
        "board_facebook_page": N_("Page"),
        "board_code": N_("Code"),
        "board_queue": N_("Queue"),
        "board_history": N_("History"),
        "board_no_history": N_("It failed at the first attempt."),
        "board_written": N_("What was written"),
        "board_open_is_logged": N_("It holds somebody's words. The log notes that it was opened."),
        "board_open": N_("Show it"),
        "board_retry_one_dead": N_("Retry"),
        "board_retry_one_unknown": N_("Replay"),
        "board_drop_one": N_("Drop …"),
        "board_dead_drop": Plural(
            "Delete {count} dead letter for good?", "Delete {count} dead letters for good?"
        ),
        "board_unknown_drop": Plural(
            "Delete {count} unknown event for good?", "Delete {count} unknown events for good?"
        ),
        "board_drop_means": N_("Nobody can bring back what is dropped."),
        "board_drop_sure": Plural("Drop {count}", "Drop {count}"),
        "board_cancel": N_("Cancel"),
    }
)
