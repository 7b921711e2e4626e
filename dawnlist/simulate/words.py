"""The words of the store: what its departments sell, and who visits it."""

from typing import Final, NamedTuple


class Department(NamedTuple):
    """A category of goods. A title is an adjective and a noun; `use` says what for; goods that are used up are bought again."""

    name: str
    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    use: str
    price: float  # EUR, median
    is_consumable: bool = False


DEPARTMENTS: Final = (
    Department(
        "Coffee & Tea",
        ("Espresso Beans", "Filter Coffee", "Green Tea", "Breakfast Tea", "Herbal Infusion", "Cold Brew Concentrate", "Chai Blend", "Drinking Chocolate"),
        ("Highland", "Single-Origin", "Slow-Roasted", "Organic", "Smoky", "Velvet", "Morning", "Midnight", "Small-Batch", "Fair-Trade"),
        "for the first quiet quarter of an hour of the day",
        11.0,
        True,
    ),
    Department(
        "Pantry",
        ("Olive Oil", "Wildflower Honey", "Sea Salt Flakes", "Tomato Passata", "Risotto Rice", "Dark Chocolate", "Almond Butter", "Mustard"),
        ("Cold-Pressed", "Stone-Ground", "Sun-Dried", "Old-Vine", "Farmhouse", "Spiced", "Golden", "Rustic", "Island", "Heritage"),
        "for suppers that need few ingredients and good ones",
        8.5,
        True,
    ),
    Department(
        "Bath & Body",
        ("Hand Soap", "Body Lotion", "Shampoo Bar", "Bath Salts", "Face Cream", "Lip Balm", "Body Oil", "Deodorant"),
        ("Lavender", "Cedar", "Unscented", "Rosemary", "Citrus", "Oat Milk", "Sea Kelp", "Rose", "Mint", "Sandalwood"),
        "for skin that has had a long day",
        14.0,
        True,
    ),
    Department(
        "Kitchen",
        ("Saucepan", "Chef's Knife", "Mixing Bowl", "Cutting Board", "Cast-Iron Skillet", "Pepper Mill", "Baking Tin", "Kettle"),
        ("Copper", "Walnut", "Enamelled", "Forged", "Stoneware", "Brushed-Steel", "Beech", "Matte", "Nesting", "Classic"),
        "for cooks who wash up by hand",
        39.0,
    ),
    Department(
        "Living Room",
        ("Wool Throw", "Floor Lamp", "Side Table", "Linen Cushion", "Wall Clock", "Bookends", "Vase", "Candle Holder"),
        ("Nordic", "Woven", "Smoked-Glass", "Oak", "Terracotta", "Brass", "Ribbed", "Pale", "Folded", "Evening"),
        "for corners where somebody reads",
        54.0,
    ),
    Department(
        "Bedroom",
        ("Duvet Cover", "Pillow", "Bed Linen Set", "Quilt", "Bedside Lamp", "Mattress Topper", "Alarm Clock", "Dressing Gown"),
        ("Washed-Linen", "Organic-Cotton", "Down", "Percale", "Cloud", "Weighted", "Waffle", "Striped", "Ink-Blue", "Undyed"),
        "for nights without a single waking",
        72.0,
    ),
    Department(
        "Garden",
        ("Pruning Shears", "Watering Can", "Seed Collection", "Planter", "Hand Trowel", "Garden Gloves", "Bird Feeder", "Hammock"),
        ("Galvanised", "Heirloom", "Ash-Handled", "Weatherproof", "Self-Watering", "Wildflower", "Balcony", "Cottage", "Clay", "Sturdy"),
        "for everything between the first frost and the last",
        27.0,
    ),
    Department(
        "Outdoor",
        ("Rain Jacket", "Trail Shoes", "Day Pack", "Sleeping Bag", "Camping Stove", "Head Torch", "Water Bottle", "Trekking Poles"),
        ("Featherlight", "Storm", "Alpine", "Packable", "Ridge", "Insulated", "Two-Person", "Long-Haul", "Winter", "Coastal"),
        "for weekends that begin at the end of the bus line",
        89.0,
    ),
    Department(
        "Books",
        ("Field Guide", "Cookbook", "Travel Atlas", "Mystery Novel", "Short Stories", "History of the Sea", "Poetry Collection", "Sketchbook"),
        ("Illustrated", "Pocket", "Northern", "Unhurried", "Annotated", "Clothbound", "Mountain", "Lost", "Complete", "Everyday"),
        "for trains, baths and waiting rooms",
        19.0,
    ),
    Department(
        "Music & Audio",
        ("Bookshelf Speakers", "Headphones", "Turntable", "Record Brush", "Portable Radio", "Earbuds", "Piano Album", "Ukulele"),
        ("Studio", "Wireless", "Walnut-Veneer", "Noise-Cancelling", "Vintage", "Open-Back", "Travel", "Low-Latency", "Quiet", "Warm"),
        "for listening to a whole side at a time",
        119.0,
    ),
    Department(
        "Children",
        ("Wooden Blocks", "Picture Book", "Balance Bike", "Soft Toy", "Puzzle", "Night Light", "Paint Set", "Rain Boots"),
        ("Rainbow", "First", "Woodland", "Giant", "Musical", "Counting", "Little", "Magnetic", "Moonlit", "Adventurous"),
        "for afternoons without a screen",
        24.0,
    ),
    Department(
        "Pets",
        ("Dog Treats", "Cat Litter", "Dry Food", "Wet Food Selection", "Chew Toy", "Grooming Shampoo", "Hay", "Cat Snacks"),
        ("Grain-Free", "Salmon", "Turkey", "Puppy", "Senior", "Gentle", "Crunchy", "Meadow", "Duck", "Everyday"),
        "for the member of the family that does the greeting",
        16.0,
        True,
    ),
)
NOUNS_PER_DEPARTMENT: Final = 8

BRANDS: Final = (
    "Alder & Finch",
    "Brightwater",
    "Casa Lune",
    "Dunmore",
    "Elmfield",
    "Fjordlys",
    "Grove House",
    "Hollin",
    "Isbrand",
    "Juniper Row",
    "Kestrel",
    "Lindqvist",
    "Marlowe",
    "Northpaw",
    "Ostera",
    "Pell & Sons",
)
JOURNAL: Final = "The Journal"  # the brand of the store's articles
ARTICLES: Final = (
    "How to Choose: {noun}",
    "{noun}: A Short Guide",
    "Five Questions about {noun}",
    "A Visit to the Makers of {noun}",
    "What We Learned from a Year with {noun}",
    "{noun}, Mended and Kept",
)


class Country(NamedTuple):
    """Where visitors come from: ISO code, IETF language tag, IANA zone, its winter offset in hours, and its share of the visitors."""

    code: str
    locale: str
    timezone: str
    offset: int
    share: float


COUNTRIES: Final = (
    Country("DE", "de-DE", "Europe/Berlin", 1, 0.26),
    Country("FR", "fr-FR", "Europe/Paris", 1, 0.17),
    Country("GB", "en-GB", "Europe/London", 0, 0.16),
    Country("NL", "nl-NL", "Europe/Amsterdam", 1, 0.11),
    Country("IT", "it-IT", "Europe/Rome", 1, 0.09),
    Country("ES", "es-ES", "Europe/Madrid", 1, 0.08),
    Country("SE", "sv-SE", "Europe/Stockholm", 1, 0.06),
    Country("US", "en-US", "America/New_York", -5, 0.05),
    Country("BR", "pt-BR", "America/Sao_Paulo", -3, 0.02),
)


class Profile(NamedTuple):
    """A kind of device: type, operating system and user agent as a browser sends it, and its share of the devices."""

    device: str
    os: str
    os_version: str
    user_agent: str
    share: float


_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.2"
PROFILES: Final = (
    Profile("mobile", "iOS", "19.2", f"Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 0.29),
    Profile("mobile", "Android", "16", f"Mozilla/5.0 (Linux; Android 16; K) {_CHROME} Mobile Safari/537.36", 0.27),
    Profile("desktop", "Windows", "10.0", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36", 0.21),
    Profile("desktop", "macOS", "15.3", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15", 0.12),
    Profile("desktop", "Linux", "", "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0", 0.03),
    Profile("tablet", "iPadOS", "19.2", f"Mozilla/5.0 (iPad; CPU OS 19_2 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1", 0.06),
    Profile("tablet", "Android", "15", f"Mozilla/5.0 (Linux; Android 15; K) {_CHROME} Safari/537.36", 0.02),
)
BOT_PROFILES: Final = (
    Profile("desktop", "Linux", "", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 0.5),
    Profile("desktop", "Linux", "", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 0.5),
)


class Referrer(NamedTuple):
    """How a session began: type and name of the referrer, the campaign (medium and name) behind it, and its share of the sessions."""

    type: str
    name: str
    medium: str
    campaign: str
    share: float


REFERRERS: Final = (
    Referrer("direct", "", "", "", 0.42),
    Referrer("search", "google", "", "", 0.27),
    Referrer("search", "bing", "", "", 0.04),
    Referrer("social", "instagram", "", "", 0.07),
    Referrer("email", "newsletter", "email", "weekly-letter", 0.12),
    Referrer("ads", "google", "cpc", "always-on", 0.06),
    Referrer("social", "instagram", "paid-social", "new-arrivals", 0.02),
)

FIRST_NAMES: Final = ("Anna", "Ben", "Clara", "David", "Elin", "Felix", "Giulia", "Hugo", "Inès", "Jonas", "Katya", "Liam", "Marta", "Noah", "Olivia")
LAST_NAMES: Final = (
    "Andersson",
    "Bakker",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "García",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Keller",
    "Lopes",
    "Müller",
    "Novak",
)
SHARE_CHANNELS: Final = ("email", "messenger", "link")
