"""Where the simulated sites lie: real towns, invented streets and names."""

from __future__ import annotations

from typing import NamedTuple


class Town(NamedTuple):
    """A town: names, an invented postal code, position in degrees, IANA zone."""

    city: str
    state: str
    postal_code: str
    country: str
    country_name: str
    latitude: float
    longitude: float
    zone: str


TOWNS = (
    Town("Chicago", "IL", "60699", "US", "United States", 41.85, -87.75, "America/Chicago"),
    Town("Berlin", "BE", "10099", "DE", "Germany", 52.50, 13.40, "Europe/Berlin"),
    Town("Adelaide", "SA", "5099", "AU", "Australia", -34.90, 138.62, "Australia/Adelaide"),
    Town("Kolkata", "WB", "700199", "IN", "India", 22.60, 88.40, "Asia/Kolkata"),
    Town("Denver", "CO", "80299", "US", "United States", 39.74, -104.95, "America/Denver"),
    Town("Madrid", "MD", "28099", "ES", "Spain", 40.42, -3.70, "Europe/Madrid"),
    Town("Perth", "WA", "6099", "AU", "Australia", -31.95, 115.90, "Australia/Perth"),
    Town("Fresno", "CA", "93799", "US", "United States", 36.75, -119.77, "America/Los_Angeles"),
    Town("Kathmandu", "Bagmati", "44699", "NP", "Nepal", 27.70, 85.33, "Asia/Kathmandu"),
    Town("Albany", "NY", "12299", "US", "United States", 42.65, -73.76, "America/New_York"),
    Town("Porto", "Porto", "4099", "PT", "Portugal", 41.16, -8.60, "Europe/Lisbon"),
    Town("Honolulu", "HI", "96899", "US", "United States", 21.31, -157.86, "Pacific/Honolulu"),
    Town("Phoenix", "AZ", "85099", "US", "United States", 33.45, -112.07, "America/Phoenix"),
    Town("Lyon", "ARA", "69099", "FR", "France", 45.76, 4.84, "Europe/Paris"),
    Town("Brisbane", "QLD", "4099", "AU", "Australia", -27.47, 153.00, "Australia/Brisbane"),
    Town("Osaka", "Osaka", "530-0099", "JP", "Japan", 34.69, 135.50, "Asia/Tokyo"),
    Town("Austin", "TX", "78799", "US", "United States", 30.27, -97.74, "America/Chicago"),
    Town("Darwin", "NT", "0899", "AU", "Australia", -12.46, 130.85, "Australia/Darwin"),
    Town("Nairobi", "Nairobi", "00199", "KE", "Kenya", -1.29, 36.82, "Africa/Nairobi"),
    Town("Des Moines", "IA", "50399", "US", "United States", 41.59, -93.62, "America/Chicago"),
    Town("Graz", "ST", "8099", "AT", "Austria", 47.07, 15.44, "Europe/Vienna"),
    Town("Auckland", "AUK", "1099", "NZ", "New Zealand", -36.85, 174.76, "Pacific/Auckland"),
    Town("Yangon", "Yangon", "11199", "MM", "Myanmar", 16.80, 96.15, "Asia/Yangon"),
    Town("Orlando", "FL", "32899", "US", "United States", 28.54, -81.38, "America/New_York"),
    Town("Leeds", "ENG", "LS99 9ZZ", "GB", "United Kingdom", 53.80, -1.55, "Europe/London"),
    Town("Hobart", "TAS", "7099", "AU", "Australia", -42.88, 147.33, "Australia/Hobart"),
    Town("Colombo", "Western", "00999", "LK", "Sri Lanka", 6.93, 79.86, "Asia/Colombo"),
    Town("Sacramento", "CA", "95899", "US", "United States", 38.58, -121.49, "America/Los_Angeles"),
    Town("Athens", "Attica", "10099", "GR", "Greece", 37.98, 23.73, "Europe/Athens"),
    Town("St. John's", "NL", "A1Z 9Z9", "CA", "Canada", 47.56, -52.71, "America/St_Johns"),
    Town("Sydney", "NSW", "2099", "AU", "Australia", -33.87, 151.10, "Australia/Sydney"),
    Town("Cape Town", "WC", "8099", "ZA", "South Africa", -33.92, 18.42, "Africa/Johannesburg"),
    Town("Columbus", "OH", "43299", "US", "United States", 39.96, -83.00, "America/New_York"),
    Town("Milan", "MI", "20199", "IT", "Italy", 45.46, 9.19, "Europe/Rome"),
    Town("Kabul", "Kabul", "1099", "AF", "Afghanistan", 34.53, 69.17, "Asia/Kabul"),
    Town("Lima", "Lima", "15099", "PE", "Peru", -12.05, -77.04, "America/Lima"),
    Town("Salt Lake City", "UT", "84199", "US", "United States", 40.76, -111.89, "America/Denver"),
    Town("Eucla", "WA", "6499", "AU", "Australia", -31.68, 128.88, "Australia/Eucla"),
    Town("Recife", "PE", "50999", "BR", "Brazil", -8.05, -34.90, "America/Recife"),
    Town("Krakow", "MA", "30-999", "PL", "Poland", 50.06, 19.94, "Europe/Warsaw"),
)

OWNERS = (
    "Alder", "Bramble", "Cedar", "Dorset", "Elmwood", "Foxglove", "Granary", "Hazel", "Ivy", "Juniper",
    "Kestrel", "Larch", "Meadow", "North", "Orchard", "Pinecone", "Quarry", "Rowan", "Saddler", "Thistle",
    "Umber", "Valley", "Willow", "Yarrow",
)  # fmt: skip
BUILDINGS = (
    "Barn", "School", "House", "Workshop", "Bakery", "Library", "Dairy", "Clinic", "Hall", "Cottage",
    "Garage", "Nursery", "Depot", "Chapel", "Studio", "Mill",
)  # fmt: skip
STREETS = ("Lane", "Road", "Street", "Way", "Court", "Drive")
