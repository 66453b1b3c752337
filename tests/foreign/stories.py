"""All stories, by id."""

import stories_advice  # noqa: F401
import stories_chargebacks  # noqa: F401
import stories_charges  # noqa: F401
import stories_dates  # noqa: F401
import stories_delivery  # noqa: F401
import stories_hints  # noqa: F401
import stories_ids  # noqa: F401
import stories_money_back  # noqa: F401
import stories_outage  # noqa: F401
import stories_parents  # noqa: F401
import stories_permissions  # noqa: F401
import stories_times  # noqa: F401
import stories_truth  # noqa: F401
import stories_values  # noqa: F401
import stories_waiting  # noqa: F401
from story import STORIES

__all__ = ["STORIES"]
