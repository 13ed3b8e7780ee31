"""Makes the database of a fresh installation, with its users, queues and custom fields: `-m host.seed`."""

import os

import django
from django.core.management import call_command
from host.accounts import ADMIN, AGENT, CONNECTOR, CUSTOM_FIELDS, IDS, PASSWORDS, QUEUES, TOKEN


def main() -> None:
    """Migrate and seed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    seed_users()
    seed_helpdesk()


def seed_users() -> None:
    """Make the users: all are staff, only the admin may do anything."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - only once Django is set up
    from rest_framework.authtoken.models import Token  # noqa: PLC0415 - the same

    for name, key in IDS.items():
        User.objects.create_user(
            name,
            f"{name}@example.com" if name in PASSWORDS else "",
            PASSWORDS.get(name),
            pk=key,
            is_staff=True,
            is_superuser=name == ADMIN,
        )
    Token.objects.create(user_id=IDS[CONNECTOR], key=TOKEN)


def seed_helpdesk() -> None:
    """Make the queues and the custom fields."""
    from helpdesk.models import CustomField, Queue  # noqa: PLC0415 - only once Django is set up

    owners = {"billing": IDS[AGENT]}
    for slug, key in QUEUES.items():
        Queue.objects.create(pk=key, slug=slug, title=slug.title(), default_owner_id=owners.get(slug))
    for name, label in CUSTOM_FIELDS.items():
        CustomField.objects.create(
            name=name, label=label, data_type="varchar", max_length=100, required=False, staff_only=True
        )


if __name__ == "__main__":
    main()
