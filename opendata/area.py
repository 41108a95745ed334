"""What open data brings to the portal."""

from portal.kit.area import Area

AREA = Area(name="opendata")
