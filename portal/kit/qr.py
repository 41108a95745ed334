"""QR codes (ISO/IEC 18004) of addresses, as drawings."""

from io import BytesIO


def svg(address: str) -> str:
    """The code of an address as an SVG without colours or size of its own; a seventh of it may be damaged."""
    import segno

    drawn = BytesIO()
    segno.make(address, error="m", micro=False, boost_error=False).save(
        drawn, kind="svg", border=0, xmldecl=False, svgclass=None, lineclass=None, omitsize=True
    )
    return drawn.getvalue().decode()
