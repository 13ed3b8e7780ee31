"""The demo's story with a helpdesk that is under construction: `make demo HELPDESK=https://…` plays it.

What an agent does there is up to a person, or to a program of the vendor's: each time the demo says what to
do in a line with `▶`, waits until it is done, and looks at what reaches Messenger.
"""
