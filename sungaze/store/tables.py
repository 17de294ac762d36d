"""The slow things as Peewee tables: what is written a few times a day and asked for by name.

The schema itself is made by the migrations; these classes only name it. They are bound to no database: every query
says where it runs, because a process may hold more than one store.
"""

from __future__ import annotations

from peewee import AutoField, CompositeKey, FloatField, IntegerField, Model, TextField


class Account(Model):
    """A way into a vendor."""

    id = AutoField()
    vendor = TextField()
    method = TextField()
    plan = TextField()
    label = TextField()
    base_url = TextField(null=True)
    scope = TextField()
    identity = TextField()
    state = TextField()
    state_reason = TextField(default="")
    state_since = IntegerField()
    retry_at = IntegerField(null=True)
    created_at = IntegerField()
    removed_at = IntegerField(null=True)
    consented_at = IntegerField(null=True)
    paused_at = IntegerField(null=True)

    class Meta:
        table_name = "account"


class Place(Model):
    """One roof or plant, with the user's own sheet."""

    id = AutoField()
    name = TextField()
    address = TextField(null=True)
    latitude = FloatField(null=True)
    longitude = FloatField(null=True)
    timezone = TextField(null=True)
    customer = TextField(null=True)
    phone = TextField(null=True)
    reference = TextField(null=True)
    permission_to_operate_on = TextField(null=True)
    warranty = TextField(null=True)
    notes = TextField(null=True)
    modules = TextField(null=True)
    assignee = TextField(null=True)
    waiting_on = TextField(null=True)
    snoozed_at = IntegerField(null=True)
    snoozed_until = IntegerField(null=True)
    snoozed_state = TextField(null=True)

    class Meta:
        table_name = "place"


class Site(Model):
    """A site as its vendor and its user describe it; the `user_` columns, tilt and azimuth are the user's."""

    id = AutoField()
    vendor = TextField()
    vendor_site_id = TextField()
    place_id = IntegerField()
    role = TextField(default="generation")
    name = TextField()
    status = TextField(default="unknown")
    communication = TextField(default="unknown")
    production = TextField(default="unknown")
    peak_power_kw = FloatField(null=True)
    address_info = TextField(default="{}")
    connection = TextField(null=True)
    reference = TextField(null=True)
    timezone = TextField(null=True)
    latitude = FloatField(null=True)
    longitude = FloatField(null=True)
    installed_on = TextField(null=True)
    last_updated = IntegerField(null=True)
    last_energy_at = IntegerField(null=True)
    not_visible_since = IntegerField(null=True)
    archived_at = IntegerField(null=True)
    created_at = IntegerField()
    user_alias = TextField(null=True)
    user_timezone = TextField(null=True)
    user_peak_power_kw = FloatField(null=True)
    user_latitude = FloatField(null=True)
    user_longitude = FloatField(null=True)
    tilt = FloatField(null=True)
    azimuth = FloatField(null=True)
    tags = TextField(default="[]")

    class Meta:
        table_name = "site"


class AccountSite(Model):
    """Which account sees which site."""

    account_id = IntegerField()
    site_id = IntegerField()
    first_seen = IntegerField()
    last_seen = IntegerField()
    gone_since = IntegerField(null=True)

    class Meta:
        table_name = "account_site"
        primary_key = CompositeKey("account_id", "site_id")


class Device(Model):
    """A device of a site."""

    id = AutoField()
    site_id = IntegerField()
    vendor = TextField()
    vendor_device_id = TextField()
    device_type = TextField()
    name = TextField(null=True)
    model = TextField(null=True)
    manufacturer = TextField(null=True)
    status = TextField(default="unknown")
    serial_number = TextField(null=True)
    part_number = TextField(null=True)
    firmware = TextField(null=True)
    installed_on = TextField(null=True)
    parent_id = IntegerField(null=True)
    position = TextField(null=True)
    last_reported_at = IntegerField(null=True)
    replaces_id = IntegerField(null=True)
    rated_w = FloatField(null=True)
    first_seen = IntegerField()
    user_array = TextField(null=True)
    user_row = IntegerField(null=True)
    user_column = IntegerField(null=True)

    class Meta:
        table_name = "device"


class Note(Model):
    """A note of the user's on a place."""

    id = AutoField()
    place_id = IntegerField()
    at = IntegerField()
    text = TextField()
    author = TextField(default="")

    class Meta:
        table_name = "note"


class Flip(Model):
    """A change of state, as a row."""

    at = IntegerField()
    subject = TextField()
    subject_id = IntegerField()
    what = TextField()
    before = TextField(null=True)
    after = TextField(null=True)
    reason = TextField(default="")

    class Meta:
        table_name = "flip"


class Fetch(Model):
    """What was asked, when, and how it ended."""

    account_id = IntegerField()
    site_id = IntegerField()
    resource = TextField()
    span_start = IntegerField(null=True)
    span_end = IntegerField(null=True)
    started_at = IntegerField()
    ended_at = IntegerField()
    outcome = TextField()
    calls = IntegerField()
    samples = IntegerField()
    message = TextField(default="")

    class Meta:
        table_name = "fetch"
