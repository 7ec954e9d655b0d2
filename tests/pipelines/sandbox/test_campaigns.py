"""Campaigns are the same on every machine, and change only as delivery reports come in."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, demo_campaigns, shop_campaigns

PARIS = ZoneInfo("Europe/Paris")
WEEK = 7 * 86_400
SENT = 1_760_000_000
LATE = SENT + 48 * 3600
CAMPAIGN = Campaign("promo", 3000, SENT, seed=7)


def rows_of(campaign: Campaign, at: float) -> list[dict[str, Any]]:
    """List the rows, for the type checker, as the dicts they are."""
    return [row for row in campaign.population(at) if isinstance(row, dict)]


def test_first_rows_are_known() -> None:
    """The rows of a seed never change from one release to the next."""
    expected = [
        {"phoneNumber": "+33664548110", "status": "Delivered", "stopSMS": False, "date": "1760000014"},
        {"phoneNumber": "+33765763415", "status": "Delivered", "stopSMS": False, "date": "1760019728"},
        {"phoneNumber": "+33611643441", "status": "Delivered", "stopSMS": False, "date": "1760000396"},
        {"phoneNumber": "+33625849742", "status": "Delivered", "stopSMS": False, "date": "1760063165"},
    ]
    assert expected == Campaign("promo", 4, SENT, seed=7).population(LATE)


def test_settled_mix() -> None:
    """A settled campaign has every kind of row: mostly delivered to valid French numbers, a few to ten other places."""
    rows = rows_of(CAMPAIGN, LATE)
    statuses = Counter(row["status"] for row in rows)
    numbers = Counter(row["phoneNumber"] for row in rows)
    countries = Counter(phonenumbers.region_code_for_number(phonenumbers.parse(row["phoneNumber"])) for row in rows)

    assert {"Delivered", "Not delivered", "Ko"} == statuses.keys()
    assert statuses["Delivered"] > 2500
    assert statuses["Not delivered"] > statuses["Ko"] > 0
    assert 0 < sum(row["stopSMS"] for row in rows) < 150
    assert 0 < sum(count > 1 for count in numbers.values()) < 150
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    assert {"FR", "BE", "CH", "US", "CA", "GB", "IT", "RE", "GP", "MQ"} == countries.keys()
    assert countries["FR"] > 2500


def test_rows_ripen_and_never_go_back() -> None:
    """Waiting rows become final one after the other; a final row never changes, and no row comes or goes."""
    times = [SENT + seconds for seconds in (-60, 0, 1, 60, 3600, 86400, 2 * 86400)]
    moments = [rows_of(CAMPAIGN, at) for at in times]
    waiting = [sum(row["status"] == "Waiting" for row in rows) for rows in moments]

    assert [len(rows) for rows in moments] == [3000] * 7
    assert waiting == sorted(waiting, reverse=True)
    assert (waiting[0], waiting[-1], len(set(waiting))) == (3000, 0, 7)
    for before, after in pairwise(moments):
        for old, new in zip(before, after, strict=True):
            assert old["phoneNumber"] == new["phoneNumber"]
            assert old["status"] == "Waiting" or old == new
    for now, rows in zip(times, moments, strict=True):
        for row in rows:  # only a delivered row has a date, which is not ahead
            dated = row["status"] == "Delivered" and SENT <= int(row["date"]) <= now
            assert dated or (row["status"] != "Delivered" and (row["date"], row["stopSMS"]) == ("", False))


@pytest.mark.parametrize("now", [SENT, 1_774_710_000, 1_796_000_000])
def test_demo_campaigns_cover_the_cases(now: int) -> None:
    """The demo holds a shop's settled campaigns, one that is always under way, an empty one and the documented one."""
    campaigns = {campaign.tag: campaign for campaign in demo_campaigns(now)}
    waiting = {tag: sum(row["status"] == "Waiting" for row in rows_of(one, now)) for tag, one in campaigns.items()}

    assert [tag for tag, count in waiting.items() if count] == ["relance", "otp"]
    assert (campaigns["empty"].rows, max(campaign.rows for campaign in campaigns.values())) == (0, 4812)
    assert campaigns["documented"] is DOCUMENTED
    for tag in campaigns.keys() - {"relance", "otp", "empty"}:
        newest = max(int(row["date"]) for row in rows_of(campaigns[tag], now) if row["date"])
        assert newest < now - 48 * 3600


def test_the_shop_sends_in_the_morning_of_working_days() -> None:
    """Whenever the demo is run, its campaigns were sent between 9:00 and 12:00 in Paris, from Monday to Friday."""
    for hours in range(0, 14 * 24, 5):
        now = SENT + hours * 3600
        sent = [datetime.fromtimestamp(one.sent_at, PARIS) for one in shop_campaigns(now) if one.tag != "relance"]
        assert [time for time in sent if not (time.weekday() < 5 and 9 <= time.hour < 12)] == []
        (late,) = (one for one in shop_campaigns(now) if one.tag == "relance")
        assert 8 <= datetime.fromtimestamp(late.sent_at, PARIS).hour < 20
        assert 5 * 3600 <= now - late.sent_at < 20 * 3600


def test_shares_and_weeks_are_those_asked_for() -> None:
    """A campaign has the shares that it names, and one that is sent weekly has a part in each week."""
    one = Campaign("bought", 20_000, SENT, 3, 300, 100, 120, weeks=4, ripen_seconds=3600)
    assert not one.is_final(SENT + 3 * WEEK)
    assert one.is_final(SENT + 3 * WEEK + 3600)
    rows = rows_of(one, SENT + 4 * WEEK)
    statuses = Counter(row["status"] for row in rows)
    shares = statuses["Delivered"], statuses["Ko"], sum(row["stopSMS"] for row in rows)
    assert [share / 20_000 for share in shares] == pytest.approx([0.6, 0.1, 0.072], abs=0.005)
    weeks = Counter((int(row["date"]) - SENT) // WEEK for row in rows if row["date"])
    assert sorted(weeks) == [0, 1, 2, 3]
    assert max(weeks.values()) - min(weeks.values()) < 300
    assert max((int(row["date"]) - SENT) % WEEK for row in rows if row["date"]) <= 3600
