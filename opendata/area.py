"""What open data brings to the portal."""

from opendata import reconcile_views
from portal.kit.area import Area

AREA = Area(name="opendata", pages=(reconcile_views.router,))
