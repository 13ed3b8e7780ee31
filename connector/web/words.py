"""The sentences of the pages that people see in a browser."""

from clients.notices import N_, add_sentences

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
            "conversations, and nothing is kept under it. If you wrote to a page, write to it again and name "
            "the code above: its team can then find your conversation, and have it deleted."
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
            "This link is good for longer than an hour, which is not allowed. Ask whoever runs your helpdesk "
            "to check its clock, and how it makes the link."
        ),
        "login_not_begun": N_(
            "This login was not begun in this browser, or longer than {minutes} minutes ago. Start again "
            "from your helpdesk, and allow cookies."
        ),
        "choice_over": N_(
            "These pages were chosen already, or longer than {minutes} minutes have gone by. To connect "
            "more, start again from your helpdesk."
        ),
    }
)
