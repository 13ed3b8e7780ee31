"""The sentences of the Messenger tab of a desk."""

from clients.notices import N_, Plural, add_sentences

add_sentences(
    {
        "tab_title": N_("Messenger"),
        "tab_intro": N_(
            "Messages to these Facebook pages become tickets on this desk; what your agents reply is sent "
            "back."
        ),
        "tab_pages": N_("Pages of this desk"),
        "tab_no_pages": N_("No page leads to this desk yet."),
        "tab_page_id": N_("Page ID {page}"),
        "state_unchecked": N_("Not checked yet"),
        "state_working": N_("Working"),
        "state_attention": N_("Needs attention"),
        "state_reconnect": N_("Reconnect"),
        "state_off": N_("Switched off"),
        "state_unchecked_means": N_(
            "Whether messages become tickets and replies are sent is not known yet. Press “Test connection”."
        ),
        "state_working_means": N_("Messages become tickets, and replies are sent."),
        "state_off_means": N_(
            "New messages do not become tickets. Once it is on again, what was written meanwhile is fetched."
        ),
        "tab_held": N_("The page itself is fine. Its messages wait until the problem above is solved."),
        "tab_paused": N_("Nothing is sent at the moment; replies wait in order."),
        "tab_last_in": N_("Last message"),
        "tab_last_out": N_("Last reply"),
        "tab_checked": N_("Last checked"),
        "tab_access": N_("Access"),
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
        "tab_token_how": N_(
            "Press “Enter a new token”, and enter one made as in step 2 of “Connect a page by hand”: replies "
            "that wait are sent."
        ),
        "tab_fixed_token": N_(
            "put a new access token of the page into the connector's settings (page_access_token in "
            "settings.yaml, or CONNECTOR_CONNECTIONS__{page}__PAGE_ACCESS_TOKEN), and restart it. Replies "
            "that wait are sent then."
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
        "tab_settings": N_("Settings"),
        "tab_settings_of": N_("Settings of {page}"),
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
        "tab_removed": N_("The page has been removed, and Facebook no longer sends its messages."),
        "tab_removed_only_here": N_(
            "The page has been removed, but Facebook could not be asked to stop sending its messages: they "
            "are refused here. Remove the app in the settings of the page."
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
            "This is not a page ID: a page ID is a number. On Facebook: the page, About, Page transparency."
        ),
        "wrong_page_name": N_("This name cannot be used."),
        "wrong_page_access_token": N_("This is not a page access token. Copy it again, whole, from step 2."),
        "wrong_app_secret": N_(
            "This is not an app secret: an app secret has 32 characters, 0 to 9 and a to f."
        ),
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
            "and the verify token of the form: once you have saved the form, both are shown for you to copy."
        ),
        "step_fields": N_(
            "Choose these fields (messages at least, and of the others those that Meta offers), then “Verify "
            "and save”: {fields}."
        ),
        "tab_given": N_("Next, at Meta: the webhook (step 4)"),
        "tab_given_token": N_(
            "and this verify token. It is shown here only once: copy it before you leave this page."
        ),
        "tab_given_then": N_(
            "Or press “Test connection” below, then “Repair”: the connector enters both for you."
        ),
        "tab_callback_of": N_(
            "At Meta it belongs to the verify token that is stored here. If you no longer know that one, "
            "enter a new one above: once it is saved, it is shown for you to copy."
        ),
        "tab_copy": N_("Copy"),
        "tab_copied": N_("Copied."),
        "tab_not_copied": N_("It is marked: copy it with your keyboard."),
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
        "check_not_all": Plural(
            "Everything that could be checked works; {count} thing could not be checked.",
            "Everything that could be checked works; {count} things could not be checked.",
        ),
        "check_broken": N_("The test did not come to its end: whether messages get through is not known."),
        "level_ok": N_("In order:"),
        "level_unknown": N_("Not known:"),
        "level_warning": N_("Needs attention:"),
        "level_stops_messages": N_("Stops messages:"),
        "remove_question": N_("Remove page {page} from this desk?"),
        "remove_means": N_(
            "Facebook is asked to stop sending its messages. Tickets stay. Replies that still wait are not"
            " sent."
        ),
    }
)
