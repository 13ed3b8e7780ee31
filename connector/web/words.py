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
        "connect_history": N_("Days of earlier messages to fetch"),
        "connect_history_hint": N_(
            "For pages that are not connected yet: each conversation in which a customer wrote in these days "
            "becomes a ticket, marked as history. 0 fetches nothing; {days} is the most."
        ),
        "connect_history_wrong": N_("Enter the days of earlier messages as a whole number from 0 to {days}."),
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
        "connect_repair_later": N_(
            "Once the page is connected, press “Test connection” on its tab in the helpdesk, then “Repair”: "
            "the connector puts it right."
        ),
        "connect_try_again": N_(
            "Start again from your helpdesk, and give all permissions for this page; if that does not help, "
            "ask whoever runs the connector."
        ),
        "page_is_new": N_("Not connected yet."),
        "page_is_shared": N_(
            "Not connected here yet, but elsewhere: these apps get its messages, too: {apps}."
        ),
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
        # People ask for their data to be deleted.
        "deletion_title": N_("Your request to delete your data"),
        "deletion_request": N_("Requested on {time}. Code: {number}."),
        "deletion_waiting": N_("It is being carried out. Look at this page again later."),
        "deletion_done": N_(
            "Done. Everything this service kept about you has been deleted, and the helpdesk has been told "
            "to delete your conversations."
        ),
        "deletion_here_only": N_(
            "Everything this service kept about you has been deleted. Your conversations in the helpdesk "
            "have to be deleted there by hand: ask the page that you wrote to."
        ),
        "deletion_not_found": N_(
            "No conversation of yours was found. We are told who you are by an id other than the one in "
            "conversations, and nothing is kept under it. If you wrote to a page, write to it again and "
            "mention the code above: its team can then find your conversation and have it deleted."
        ),
        "deletion_of_pages": N_(
            "If you connected pages here with your login, they have been switched off, and the record that "
            "it was you has been deleted."
        ),
        "deletion_shown_for": N_("This page can be seen for {days} days after the request."),
        "deletion_unknown": N_(
            "There is no request with this code, or it was made more than {days} days ago. Check the address."
        ),
        "connect_link_incomplete": N_("This link is not complete. Open it from your helpdesk again."),
        "connect_link_forged": N_(
            "This link was altered, or was not made by your helpdesk. Open it from your helpdesk "
            "again; if that does not help, ask whoever runs it to check admin_token."
        ),
        "connect_link_expired": N_("This link has expired. Open it from your helpdesk again."),
        "connect_link_too_long": N_(
            "This link is valid for more than an hour, which is not allowed. Ask whoever runs your helpdesk"
            " to check its clock, and how it makes the link."
        ),
        "login_not_begun": N_(
            "This login was not started in this browser, or was started more than {minutes} minutes ago. "
            "Start again from your helpdesk, and allow cookies."
        ),
        "choice_over": N_(
            "These pages have already been chosen, or more than {minutes} minutes have passed. To connect "
            "more, start again from your helpdesk."
        ),
        # The board.
        "board_title": N_("Connector board"),
        "board_off": N_("The board is off. Set admin_token in the settings to have it."),
        "board_link_incomplete": N_(
            "This link is not complete. Run “connector board”, which prints a new one."
        ),
        "board_link_forged": N_(
            "This link was altered, or admin_token has been changed since. Run “connector board”, "
            "which prints a new one."
        ),
        "board_link_expired": N_("This page has expired. Run “connector board”, which prints a new link."),
        "board_link_too_long": N_(
            "This link is valid for more than an hour, which is not allowed. Check the clocks, and run "
            "“connector board” again."
        ),
        "board_nav": N_("Parts of the board"),
        "board_nav_connections": N_("Pages"),
        "board_nav_dead": N_("Dead letters"),
        "board_nav_unknown": N_("Unknown events"),
        "board_as_of": N_("As of"),
        "board_stale": N_(
            "Not updated since: the connector does not respond, or scripts are off. Reload the page."
        ),
        "board_reload": N_("Show it as it is now"),
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
        "board_shared_attention": N_("Something that all pages depend on needs attention."),
        "board_to_reconnect": Plural(
            "{count} page has to be connected again.", "{count} pages have to be connected again."
        ),
        "board_to_look_at": Plural("{count} page needs attention.", "{count} pages need attention."),
        "board_dead": Plural("{count} message was not delivered.", "{count} messages were not delivered."),
        "board_unchecked": Plural(
            "Whether {count} page works is not known yet: it has not been checked.",
            "Whether {count} pages work is not known yet: they have not been checked.",
        ),
        "board_unchecked_means": N_("Whether its messages get through is not known yet."),
        "board_unchecked_todo": N_(
            "Press “Test connection” on its tab in the helpdesk, or run “connector check --page {page}”, "
            "unless the scheduled checks (check_every) soon come to it."
        ),
        "board_is_reconnect": N_("Reconnect"),
        "board_is_attention": N_("Needs attention"),
        "board_is_unchecked": N_("Not checked yet"),
        "board_is_working": N_("Working"),
        "board_is_off": N_("Off"),
        "board_people_wait": N_("People wait"),
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
        "board_goes_on": N_("Continues at {time}"),
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
        "board_tick": N_("Tick the ones you mean"),
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
        "board_letter_of": N_("Page"),
        "board_code": N_("Code"),
        "board_queue": N_("Queue"),
        "board_history": N_("History"),
        "board_no_history": N_("It failed at the first attempt."),
        "board_written": N_("What was written"),
        "board_open_is_logged": N_("It contains what a person wrote. Opening it is recorded in the log."),
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
        "board_drop_means": N_("What is dropped cannot be recovered."),
        "board_drop_sure": Plural("Drop {count}", "Drop {count}"),
        "board_cancel": N_("Cancel"),
    }
)
