"""A real helpdesk to run against: django-helpdesk 2.6, which nobody here wrote, with an installer's settings.

`DjangoHelpdesk` (`server`) runs it, `Agent` (`agent`) works in its web pages as a person would. It lives in a
virtual environment of its own (`install`), as a Django project of its own (`host`); the names and secrets
that its users need stand in `host.accounts`.

    with DjangoHelpdesk(folder, followup_webhook=url) as helpdesk, Agent(helpdesk.url) as agent:
        ticket_id = agent.create("A title", "A text")
        agent.reply(ticket_id, "Hello", public=True)
        assert helpdesk.ticket(ticket_id)["followup_set"]
"""
