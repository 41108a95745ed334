"""What the record brings to the portal."""

from portal.kit.area import Area
from record import api, views

AREA = Area(name="record", pages=(views.router,), api=(api.router,))
