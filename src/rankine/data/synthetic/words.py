"""The words of a generated shop: sixteen categories in a ring, people, and how a title is put together.

Each category: median price, what its things are for, twelve nouns in a ring (a visitor of one noun is led to the
next), eight materials, eight styles. A title is style, material, noun; larger shops add a colour.
"""

from __future__ import annotations

from typing import NamedTuple


class Category(NamedTuple):
    """A shelf of the shop; the lists are written as one text each, parted by commas."""

    name: str
    price: float
    purpose: str
    nouns: str
    materials: str
    styles: str


def _list(words: str) -> list[str]:
    return words.split(", ")


CATEGORIES = (
    Category(
        "Coffee and tea",
        32,
        "slow mornings",
        "kettle, dripper, filter stand, coffee server, coffee cup, milk jug, hand grinder, bean canister, moka pot, "
        "teapot, tea strainer, tea tin",
        "copper, steel, porcelain, glass, stoneware, enamel, brass, cast iron",
        "pour-over, gooseneck, double-walled, ribbed, travel, two-cup, six-cup, matte",
    ),
    Category(
        "Tableware",
        24,
        "a long table of friends",
        "dinner plate, side plate, soup bowl, serving bowl, platter, tumbler, carafe, wine glass, cutlery set, "
        "salad servers, butter dish, egg cup",
        "stoneware, porcelain, glass, terracotta, olive wood, enamel, bone china, recycled glass",
        "speckled, rimmed, glazed, hand-thrown, fluted, scalloped, everyday, oval",
    ),
    Category(
        "Cookware",
        58,
        "soups, roasts and Sunday stews",
        "saucepan, frying pan, casserole, stockpot, roasting tin, wok, griddle, steamer, pan lid, trivet, pie dish, "
        "loaf tin",
        "cast iron, copper, steel, carbon steel, enamel, ceramic, aluminium, clay",
        "deep, shallow, lidded, two-handled, oven-proof, heavy, small, family",
    ),
    Category(
        "Kitchen tools",
        18,
        "the busy end of the kitchen",
        "chef's knife, cutting board, whisk, ladle, spatula, peeler, grater, mortar, rolling pin, colander, "
        "kitchen scale, mixing bowl",
        "steel, beech, walnut, bamboo, olive wood, silicone, marble, carbon steel",
        "balanced, slim, long-handled, stackable, hanging, compact, professional, folding",
    ),
    Category(
        "Pantry",
        11,
        "quick suppers and good gifts",
        "olive oil, vinegar, sea salt, pepper blend, mustard, honey, jam, chutney, granola, chocolate bar, biscuits, "
        "spice tin",
        "smoked, wildflower, lemon, rosemary, fig, walnut, chilli, vanilla",
        "small-batch, cold-pressed, organic, mild, dark, orchard, roasted, mountain",
    ),
    Category(
        "Garden",
        28,
        "balconies and beds alike",
        "watering can, planter, trowel, hand fork, pruning shears, seed tray, plant stand, garden gloves, twine, "
        "bird feeder, hose reel, cloche",
        "galvanised, terracotta, ash, copper, cedar, steel, clay, bamboo",
        "long-reach, weathered, hanging, rounded, balcony, deep, slatted, traditional",
    ),
    Category(
        "Outdoors",
        46,
        "trails, tents and beaches",
        "rucksack, water bottle, camping mug, lantern, picnic blanket, hammock, pocket knife, fire starter, cool bag, "
        "camp stool, head torch, dry bag",
        "canvas, steel, titanium, waxed cotton, ripstop, cork, aluminium, wool",
        "packable, weatherproof, expedition, day, ultralight, insulated, roll-top, trail",
    ),
    Category(
        "Toys and games",
        22,
        "rainy afternoons",
        "building blocks, jigsaw puzzle, card game, board game, spinning top, marble run, toy train, doll's house, "
        "kite, puppet, memory game, stacking rings",
        "beech, maple, felt, cotton, bamboo, cork, recycled plastic, paper",
        "rainbow, travel, pocket, giant, woodland, circus, ocean, first",
    ),
    Category(
        "Desk and paper",
        16,
        "plans, letters and lists",
        "notebook, fountain pen, ink bottle, pencil case, desk tray, letter opener, paperweight, card holder, "
        "wall calendar, writing paper, envelope set, bookend",
        "linen, leather, brass, walnut, kraft, cotton-paper, steel, marble",
        "dotted, ruled, slim, pocket, weekly, letterpress, bound, minimal",
    ),
    Category(
        "Lighting",
        84,
        "the darker half of the day",
        "table lamp, lampshade, light bulb, floor lamp, wall light, pendant, desk lamp, reading light, night light, "
        "string lights, lamp base, dimmer",
        "brass, opal glass, linen, paper, walnut, ceramic, steel, rattan",
        "domed, adjustable, pleated, globe, low, arched, fluted, portable",
    ),
    Category(
        "Small furniture",
        140,
        "corners that lack something",
        "stool, side table, bench, bookshelf, coat stand, magazine rack, step ladder, bedside table, folding chair, "
        "footrest, wall shelf, plinth",
        "oak, ash, walnut, pine, steel, rattan, cork, birch",
        "three-legged, nesting, narrow, round, stackable, low, turned, floating",
    ),
    Category(
        "Storage",
        26,
        "everything in its place",
        "basket, storage box, hook rail, glass jar, drawer divider, laundry bag, shoe rack, hanger set, tool caddy, "
        "bread bin, key tray, crate",
        "seagrass, felt, birch, wire, canvas, bamboo, cardboard, willow",
        "stackable, lidded, woven, shallow, tall, handled, labelled, collapsible",
    ),
    Category(
        "Textiles",
        38,
        "sofas and cold feet",
        "throw, cushion cover, cushion pad, table runner, tablecloth, napkin set, tea towel, apron, oven glove, rug, "
        "curtain, door mat",
        "linen, wool, cotton, jute, mohair, hemp, alpaca, velvet",
        "striped, waffle, fringed, checked, washed, herringbone, quilted, plain",
    ),
    Category(
        "Bedroom",
        72,
        "eight good hours",
        "duvet cover, pillowcase, fitted sheet, duvet, pillow, bedspread, blanket, sleep mask, slippers, robe, "
        "mattress topper, hot-water bottle",
        "percale, linen, flannel, sateen, wool, bamboo, jersey, down",
        "stonewashed, king-size, single, light, winter, crisp, tufted, soft",
    ),
    Category(
        "Bath",
        21,
        "long baths and short mornings",
        "bath towel, hand towel, bath mat, soap dish, soap bar, body brush, bath salts, sponge, shower curtain, "
        "toothbrush holder, mirror, laundry soap",
        "terry, waffle, cedar, marble, teak, ceramic, linen, bamboo",
        "fast-drying, deep-pile, hanging, round, gentle, ribbed, generous, spa",
    ),
    Category(
        "Candles and scent",
        19,
        "evenings in",
        "pillar candle, taper set, candle holder, tealights, snuffer, scented candle, diffuser, incense, "
        "incense holder, room spray, oil burner, matches",
        "beeswax, cedar, amber, fig, sandalwood, brass, clay, bergamot",
        "slow-burning, hand-poured, twisted, tall, quiet, large, smoky, winter",
    ),
)
N_NOUNS = 12

WORDS = tuple(tuple(_list(part) for part in (c.nouns, c.materials, c.styles)) for c in CATEGORIES)
"""Nouns, materials and styles of each category as lists."""

COLOURS = _list("sage, rust, ink, oat, slate, clay, moss, plum, sand, chalk, teal, mustard")

FIRST_NAMES = _list(
    "Ada, Amir, Ana, Anton, Asha, Ben, Bruno, Camille, Chen, Clara, Dario, Dina, Elif, Emil, Esther, Farid, Femi, "
    "Freya, Grace, Hana, Hugo, Ines, Ivo, Jonas, Jun, Kofi, Lars, Leila, Lena, Luca, Mara, Mateo, Mei, Milan, Nadia, "
    "Nils, Noor, Olga, Omar, Paula, Pia, Priya, Rafael, Rosa, Ruth, Sami, Sofia, Tariq, Theo, Uma, Vera, Viktor, "
    "Wanda, Yara, Yusuf, Zoe"
)
LAST_NAMES = _list(
    "Abara, Adler, Bakker, Baptiste, Berg, Blum, Castro, Costa, Dahl, Diaz, Duarte, Egger, Farouk, Fischer, Gallo, "
    "Garcia, Haddad, Hale, Horvat, Ito, Jansen, Kaya, Keller, Khan, Kim, Koch, Kowalski, Laine, Lopez, Marsh, Mbeki, "
    "Meyer, Moreau, Nakata, Novak, Okafor, Olsen, Park, Pereira, Petrov, Quinn, Rao, Reyes, Rossi, Sato, Silva, Singh, "
    "Stone, Suzuki, Toth, Varga, Vogel, Walsh, Weber, Wong, Young, Zeman"
)
COUNTRIES = {"DE": 0.22, "US": 0.18, "GB": 0.14, "FR": 0.12, "NL": 0.08, "ES": 0.08, "IT": 0.07, "SE": 0.06, "PL": 0.05}
