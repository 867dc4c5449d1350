"""Fly's regions, as a client expects to find them; here all of them are this host."""

from dataclasses import dataclass

from fly.local.refusal import unprocessable

NEAREST = "iad"


@dataclass(frozen=True)
class Region:
    code: str
    name: str
    latitude: float
    longitude: float
    geo_region: str


REGIONS = {
    region.code: region
    for region in (
        Region("ams", "Amsterdam, Netherlands", 52.374, 4.890, "europe"),
        Region("arn", "Stockholm, Sweden", 59.651, 17.919, "europe"),
        Region("bom", "Mumbai, India", 19.097, 72.875, "asia_pacific"),
        Region("cdg", "Paris, France", 48.860, 2.343, "europe"),
        Region("dfw", "Dallas, Texas (US)", 32.779, -96.809, "north_america"),
        Region("ewr", "Secaucus, NJ (US)", 40.790, -74.062, "north_america"),
        Region("fra", "Frankfurt, Germany", 50.117, 8.682, "europe"),
        Region("gru", "Sao Paulo, Brazil", -23.547, -46.636, "south_america"),
        Region("iad", "Ashburn, Virginia (US)", 39.022, -77.462, "north_america"),
        Region("jnb", "Johannesburg, South Africa", -26.206, 28.034, "africa"),
        Region("lax", "Los Angeles, California (US)", 33.942, -118.408, "north_america"),
        Region("lhr", "London, United Kingdom", 51.516, -0.177, "europe"),
        Region("nrt", "Tokyo, Japan", 35.622, 139.750, "asia_pacific"),
        Region("ord", "Chicago, Illinois (US)", 41.892, -87.609, "north_america"),
        Region("sin", "Singapore, Singapore", 1.304, 103.858, "asia_pacific"),
        Region("sjc", "San Jose, California (US)", 37.352, -121.896, "north_america"),
        Region("syd", "Sydney, Australia", -33.866, 151.196, "asia_pacific"),
        Region("yyz", "Toronto, Canada", 43.644, -79.633, "north_america"),
    )
}
ALIASES = {
    "any": "iad", "na": "iad", "us": "iad", "usa": "iad", "eu": "ams", "apac": "sin", "sa": "gru",
}  # fmt: skip


def resolve(wanted: str | None) -> str:
    """The code of the region; the nearest one if none is named.

    *Errors*: Refusal 422.
    """
    code = ALIASES.get(wanted or NEAREST, wanted or NEAREST)
    if code not in REGIONS:
        raise unprocessable(f"Region {code!r} is not a known region")
    return code
