"""What people see of Messenger in a browser, beside the pages of all channels (`connector/web/`)."""
