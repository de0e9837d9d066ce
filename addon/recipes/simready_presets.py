# SPDX-License-Identifier: GPL-3.0-or-later
"""What things are made of and what they are called: tables for the local converter.

Physical values are everyday engineering averages, not measurements of the artist's object; the
report says for each part which row was used, and every value can be overridden from Blender. This
module holds data and look-ups only: it never touches geometry, files or bpy.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Preset:
    """One material: density in kg/m3, thicknesses in mm, friction and restitution without unit.

    ``wall_mm`` is the usual wall of a *closed* object of about half a metre (None: solid through);
    it grows with the square root of the size and stays between a third and three times itself.
    ``fixed`` walls (boards, panes) do not grow. ``sheet_mm`` is the thickness of an open surface.
    ``stuffed`` is the mean density of a closed volume of a soft material (a cushion). Compact
    closed parts up to ``solid_below`` metres are taken as solid (bolts, handles, dice).
    """

    name: str
    density: float
    wall_mm: float | None
    sheet_mm: float
    static: float
    dynamic: float
    restitution: float
    words: str
    sensor: str = ""
    fixed: bool = False
    stuffed: float | None = None
    solid_below: float = 0.0

    def wall(self, size: float) -> float | None:
        """Wall thickness in metres of a closed part whose largest extent is ``size`` metres."""
        if self.wall_mm is None:
            return None
        if self.fixed:
            return self.wall_mm / 1000.0
        factor = math.sqrt(max(size, 1e-6) / 0.5)
        return self.wall_mm / 1000.0 * min(3.0, max(1.0 / 3.0, factor))

    def sheet(self, size: float) -> float:
        """Thickness in metres of an open surface; never more than a fiftieth of ``size``."""
        return min(self.sheet_mm / 1000.0, max(size / 50.0, 0.0001))


PRESETS: tuple[Preset, ...] = (
    Preset(
        "wood", 650, 18, 12, 0.55, 0.45, 0.30,
        "wood wooden woods timber lumber oak oaken walnut maple birch teak beech cherry mahogany "
        "cedar spruce hardwood parquet plank holz eiche buche bois chene madera roble legno hout "
        "drewno derevo",
        "wood", fixed=True,
    ),
    Preset("softwood", 480, 18, 12, 0.55, 0.45, 0.30,
           "softwood pine fir larch kiefer pino balsa poplar", "wood", fixed=True),
    Preset("bamboo", 550, 6, 4, 0.5, 0.4, 0.3, "bamboo rattan wicker cane bambus", "wood"),
    Preset("wood log", 700, None, 20, 0.6, 0.5, 0.25, "log trunk stump beam firewood bark", "bark"),
    Preset("fibreboard", 720, 18, 18, 0.5, 0.4, 0.25,
           "mdf hdf plywood chipboard particleboard osb laminate veneer fibreboard fiberboard "
           "melamine sperrholz contreplaque", "wood", fixed=True),
    Preset("steel", 7850, 1.5, 1.2, 0.6, 0.45, 0.35,
           "steel stainless inox metal metallic metall metals chrome chromed chromium nickel "
           "galvanized galvanised tin sheetmetal stahl acier acero acciaio staal stal screw bolt "
           "nail rivet metalo metallo", "steel", solid_below=0.08),
    Preset("iron", 7200, 4, 3, 0.6, 0.45, 0.25,
           "iron castiron wrought rust rusty eisen fer hierro ferro fonte", "iron",
           solid_below=0.12),
    Preset("aluminium", 2700, 2, 1.5, 0.5, 0.4, 0.3,
           "aluminium aluminum alu alloy anodized anodised duralumin", "aluminum",
           solid_below=0.06),
    Preset("brass", 8500, 1.5, 1.0, 0.5, 0.4, 0.3, "brass messing laiton laton ottone", "brass",
           solid_below=0.06),
    Preset("bronze", 8800, 4, 2, 0.5, 0.4, 0.3, "bronze bronzo bronce", "bronze", solid_below=0.1),
    Preset("copper", 8960, 1.5, 1.0, 0.5, 0.4, 0.25, "copper kupfer cuivre cobre rame", "brass",
           solid_below=0.06),
    Preset("titanium", 4500, 2, 1.5, 0.5, 0.4, 0.3, "titanium titan titane", "steel",
           solid_below=0.06),
    Preset("gold", 19300, 1, 0.5, 0.5, 0.4, 0.2, "gold golden oro dore", "brass",
           solid_below=0.06),
    Preset("silver", 10490, 1, 0.5, 0.5, 0.4, 0.2, "silver silber argent plata argento", "silver",
           solid_below=0.06),
    Preset("lead", 11340, None, 2, 0.6, 0.5, 0.05, "lead blei plomb plomo", "steel"),
    Preset("plastic", 1050, 2.5, 2, 0.4, 0.3, 0.4,
           "plastic plastics plastik kunststoff plastique plastico polymer resin abs pla petg "
           "polypropylene polyethylene hdpe bakelite lego pvc vinyl polystyrene", "plastic",
           solid_below=0.03),
    Preset("acrylic", 1190, 4, 3, 0.45, 0.35, 0.4,
           "acrylic acryl plexiglass plexiglas perspex pmma polycarbonate lucite", "plexiglass"),
    Preset("nylon", 1140, 2.5, 2, 0.35, 0.28, 0.4, "nylon polyamide", "nylon", solid_below=0.04),
    Preset("carbon fibre", 1600, 2, 1.5, 0.4, 0.3, 0.3, "carbonfiber carbonfibre carbon cfk",
           "carbon_fiber"),
    Preset("fibreglass", 1800, 3, 3, 0.45, 0.35, 0.3, "fiberglass fibreglass glasfaser grp",
           "fiberglass"),
    Preset("rubber", 1150, 8, 4, 0.9, 0.8, 0.6,
           "rubber gummi caoutchouc goma gomma silicone silicon tire tyre tires tyres latex "
           "neoprene", "rubber", solid_below=0.1),
    Preset("foam", 35, None, 20, 0.7, 0.6, 0.15,
           "foam sponge styrofoam eps polyurethane schaum schaumstoff mousse espuma", "fabric"),
    Preset("cork", 200, None, 5, 0.6, 0.5, 0.3, "cork kork liege corcho", "wood"),
    Preset("fabric", 350, None, 1.5, 0.6, 0.5, 0.1,
           "fabric fabrics cloth textile cotton wool linen velvet silk denim felt canvas "
           "upholstery cushion pillow mattress carpet rug curtain towel polyester stoff tissu "
           "tela tessuto stof", "fabric", stuffed=70),
    Preset("leather", 860, None, 2, 0.6, 0.5, 0.15,
           "leather leatherette suede leder cuir cuero pelle hide", "leather", stuffed=90),
    Preset("fur", 150, None, 10, 0.6, 0.5, 0.05, "fur plush hair fluffy", "fur_hair", stuffed=40),
    Preset("glass", 2500, 4, 4, 0.5, 0.4, 0.3,
           "glass glas verre vidrio vetro crystal bulb windscreen lens", "clear_glass",
           solid_below=0.02),
    Preset("ceramic", 2300, 5, 5, 0.5, 0.4, 0.2,
           "ceramic ceramics keramik ceramique ceramica stoneware earthenware tile tiles enamel",
           "ceramic_glass", solid_below=0.02),
    Preset("porcelain", 2400, 3.5, 3.5, 0.5, 0.4, 0.2, "porcelain china porzellan porcelaine",
           "ceramic_glass", solid_below=0.02),
    Preset("terracotta", 1900, 8, 8, 0.6, 0.5, 0.15, "terracotta terrakotta clay pottery",
           "brick"),
    Preset("stone", 2600, None, 20, 0.65, 0.55, 0.15,
           "stone rock rocks granite marble slate limestone sandstone basalt travertine pebble "
           "stein pierre piedra pietra steen gravel", "stone"),
    Preset("concrete", 2300, None, 50, 0.7, 0.6, 0.1,
           "concrete cement beton hormigon asphalt mortar", "concrete"),
    Preset("brick", 1900, None, 50, 0.7, 0.6, 0.1, "brick bricks ziegel brique ladrillo", "brick"),
    Preset("plaster", 1000, 12, 10, 0.6, 0.5, 0.1, "plaster gypsum drywall stucco gips platre",
           "concrete"),
    Preset("cardboard", 180, 4, 4, 0.5, 0.4, 0.15,
           "cardboard carton karton corrugated pappe kraft", "cardboard", fixed=True),
    Preset("paper", 800, None, 0.2, 0.5, 0.4, 0.1, "paper book books pages papier papel carta",
           "paper"),
    Preset("wax", 900, None, 2, 0.5, 0.4, 0.1, "wax candle wachs cire soap", "plastic"),
    Preset("ice", 917, None, 5, 0.1, 0.05, 0.2, "ice eis glace snow", "ice"),
    Preset("water", 1000, None, 2, 0.2, 0.1, 0.0, "water liquid wasser fluid milk coffee", "water"),
    Preset("food", 850, None, 3, 0.5, 0.4, 0.2,
           "food fruit apple orange banana bread meat cheese vegetable cake flesh skin organic",
           "skin"),
    Preset("plant", 500, None, 0.5, 0.5, 0.4, 0.1,
           "plant leaf leaves foliage grass flower petal stem moss", "leaf_grass"),
    Preset("soil", 1500, None, 20, 0.7, 0.6, 0.05, "soil dirt earth mud sand", "dirt"),
    Preset("electronics", 1400, 3, 3, 0.45, 0.35, 0.3,
           "electronics electronic circuit pcb screen display lcd battery", "plastic",
           solid_below=0.05),
)  # fmt: skip

#: Taken when neither a name nor the shading says anything.
GENERIC = Preset("generic", 800, 8, 4, 0.5, 0.4, 0.3, "generic default unknown", "plastic",
                 solid_below=0.03)  # fmt: skip

_BY_NAME = {preset.name: preset for preset in (*PRESETS, GENERIC)}
_WORDS = {word: preset for preset in PRESETS for word in preset.words.split()}
_LONG = sorted((word for word in _WORDS if len(word) >= 5), key=len, reverse=True)
_AFFIX = sorted((word for word in _WORDS if len(word) >= 4 and word != "lead"), key=len)


def words(text: str) -> list[str]:
    """Split a name into plain lower-case words: camel case, digits, signs and accents part them."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return [word for word in re.split(r"[^a-z]+", plain.lower()) if word]


def preset_named(text: str) -> Preset | None:
    """The preset that the artist named outright (``simready_material``), else by its words."""
    exact = _BY_NAME.get(" ".join(words(text)))
    return exact or preset_for(text)


def preset_for(text: str) -> Preset | None:
    """The preset that a material's or object's name suggests; the longest word found wins."""
    found = words(text)
    pairs = [first + second for first, second in pairwise(found)]
    hits = [word for word in (*found, *pairs) if word in _WORDS]
    if hits:
        return _WORDS[max(hits, key=len)]
    affixes = [
        word for word in _AFFIX for part in found if part.startswith(word) or part.endswith(word)
    ]
    if affixes:
        return _WORDS[affixes[-1]]
    joined = "".join(found)
    return next((_WORDS[word] for word in _LONG if word in joined), None)


@dataclass(frozen=True)
class Label:
    """What the asset is: ``name`` for people, ``qcode`` of Wikidata, whether a word said so."""

    name: str
    qcode: str
    category: str
    certain: bool


# Wikidata items; the fall-back Q223557 is "physical object", which is always true.
_LABELS: tuple[tuple[str, str, str, str], ...] = (
    ("chair", "Q15026", "furniture", "chair chairs armchair stuhl chaise silla sedia stool"),
    ("table", "Q14748", "furniture", "table tables tisch mesa tavolo coffeetable sidetable"),
    ("desk", "Q1064858", "furniture", "desk workbench schreibtisch"),
    ("bench", "Q204776", "furniture", "bench pew"),
    ("couch", "Q131514", "furniture", "couch sofa settee loveseat"),
    ("bed", "Q42177", "furniture", "bed bett cot bunk"),
    ("furniture", "Q14745", "furniture",
     "furniture shelf bookshelf bookcase cabinet cupboard wardrobe drawer dresser nightstand"),
    ("lamp", "Q1138737", "furniture", "lamp lantern lampe floorlamp desklamp"),
    ("mirror", "Q35197", "furniture", "mirror spiegel miroir"),
    ("clock", "Q376", "furniture", "clock uhr horloge"),
    ("vase", "Q191851", "tableware", "vase jug pitcher amphora"),
    ("bottle", "Q80228", "tableware", "bottle flask flasche bouteille botella"),
    ("cup", "Q81727", "tableware", "cup teacup tasse taza"),
    ("mug", "Q386215", "tableware", "mug mugs"),
    ("bowl", "Q153988", "tableware", "bowl dish"),
    ("plate", "Q57216", "tableware", "plate plates saucer"),
    ("wine glass", "Q1531435", "tableware", "wineglass goblet"),
    ("fork", "Q81881", "tableware", "fork"),
    ("knife", "Q32489", "tableware", "knife"),
    ("spoon", "Q81895", "tableware", "spoon ladle"),
    ("box", "Q188075", "container", "box boxes crate crates case kiste caisse caja carton"),
    ("suitcase", "Q200814", "container", "suitcase luggage"),
    ("backpack", "Q5843", "container", "backpack rucksack"),
    ("bucket", "Q47107", "container", "bucket pail eimer seau"),
    ("hammer", "Q25294", "tool", "hammer mallet sledgehammer"),
    ("scissors", "Q40847", "tool", "scissors"),
    ("umbrella", "Q41607", "personal", "umbrella parasol"),
    ("shoe", "Q22676", "personal", "shoe shoes sneaker boot"),
    ("hat", "Q80151", "personal", "hat cap helmet"),
    ("book", "Q571", "media", "book books buch livre libro"),
    ("ball", "Q18545", "toy", "ball balls sphere"),
    ("teddy bear", "Q213477", "toy", "teddy teddybear"),
    ("skateboard", "Q15783", "sports", "skateboard"),
    ("laptop", "Q3962", "electronics", "laptop notebook"),
    ("keyboard", "Q1921606", "electronics", "keyboard"),
    ("microwave oven", "Q127956", "appliance", "microwave"),
    ("oven", "Q36539", "appliance", "oven stove"),
    ("toaster", "Q14890", "appliance", "toaster"),
    ("refrigerator", "Q37828", "appliance", "refrigerator fridge freezer"),
    ("sink", "Q140565", "fixture", "sink washbasin basin"),
    ("toilet", "Q7857", "fixture", "toilet"),
    ("door", "Q36794", "fixture", "door tuer porte puerta"),
    ("window", "Q35473", "fixture", "window fenster"),
    ("potted plant", "Q27993793", "plant", "pottedplant houseplant plant"),
    ("apple", "Q89", "food", "apple"),
    ("banana", "Q503", "food", "banana"),
    ("bicycle", "Q11442", "vehicle", "bicycle bike"),
    ("car", "Q1420", "vehicle", "car automobile"),
    ("motorcycle", "Q34493", "vehicle", "motorcycle motorbike"),
    ("fire hydrant", "Q634299", "street", "hydrant"),
    ("traffic light", "Q8004", "street", "trafficlight"),
)  # fmt: skip

_LABEL_WORDS = {word: row for row in _LABELS for word in row[3].split()}


def label_for(*names: str) -> Label:
    """The class of an asset by its names, the most telling first; its last word counts most."""
    for name in names:
        found = words(name)
        pairs = [first + second for first, second in pairwise(found)]
        for word in (*reversed(pairs), *reversed(found)):
            row = _LABEL_WORDS.get(word)
            if row:
                return Label(row[0], row[1], row[2], True)
    return Label("object", "Q223557", "prop", False)


def safe_name(text: str, fallback: str) -> str:
    """A name for prims, files and MJCF: ``[a-z][a-z0-9_]*``, at most 48 characters."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:48].strip("_")
    if not plain:
        plain = fallback
    return plain if plain[0].isalpha() else f"{fallback}_{plain}"


def unique(name: str, taken: set[str]) -> str:
    """``name``, or ``name_2``, ``name_3``...: added to ``taken``."""
    result, number = name, 2
    while result in taken:
        result = f"{name}_{number}"
        number += 1
    taken.add(result)
    return result
