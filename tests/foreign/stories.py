"""All stories, by id."""

import stories_charges  # noqa: F401
import stories_delivery  # noqa: F401
import stories_money_back  # noqa: F401
import stories_permissions  # noqa: F401
import stories_times  # noqa: F401
from story import STORIES

__all__ = ["STORIES"]
