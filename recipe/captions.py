"""Sentences for a scene: synonyms, word orders, left-out attributes, and words that mean nothing."""

import random
import re
import string
from collections.abc import Callable, Collection
from dataclasses import dataclass

from .spec import VALUES, Scene

# The first wording of each list is the commonest.
COLOUR = {
    "red": ["red", "crimson", "scarlet"], "orange": ["orange"], "yellow": ["yellow"], "green": ["green", "emerald"],
    "blue": ["blue", "navy", "azure"], "purple": ["purple", "violet"], "pink": ["pink", "rose"], "brown": ["brown"],
    "black": ["black"], "white": ["white"], "grey": ["grey", "gray", "silver"], "teal": ["teal", "turquoise", "cyan"],
}  # fmt: skip
HAIR = {
    "black": ["black", "dark"], "brown": ["brown", "brunette"], "blonde": ["blonde", "blond", "golden"],
    "red": ["red", "ginger"], "grey": ["grey", "gray", "silver"],
}  # fmt: skip
NOUN = {
    "man": ["man", "boy", "guy", "gentleman"], "woman": ["woman", "girl", "lady"],
    "person": ["person", "someone", "human", "figure", "somebody"], "dog": ["dog", "puppy", "hound"],
    "cat": ["cat", "kitten", "kitty"], "house": ["house", "cottage", "home", "cabin", "hut"], "tree": ["tree"],
    "car": ["car", "automobile", "vehicle", "auto"], "boat": ["boat", "sailboat", "ship", "sailing boat", "yacht"],
    "cube": ["cube", "box", "block"], "sphere": ["sphere", "ball", "orb"], "cylinder": ["cylinder", "tube"],
    "pyramid": ["pyramid"], "cone": ["cone"],
}  # fmt: skip
JACKET = ["jacket", "coat", "raincoat", "parka", "hoodie", "anorak"]
POSE = {
    "standing": ["standing", "who stands", "that is standing", "stands"],
    "walking": ["walking", "who walks", "that is walking", "strolling", "walks", "taking a walk"],
}
PLACE = {
    "road": ["on a road", "on the road", "on road", "on a country road", "on a highway", "on an empty road"],
    "beach": ["on a beach", "at the beach", "on the beach", "on a sandy beach", "on the sand", "on the seashore"],
    "forest": ["in a forest", "in the forest", "in the woods", "in a wood", "in a pine forest"],
    "city": ["in a city", "in the city", "in town", "downtown", "on a city street", "on a street"],
    "desert": ["in a desert", "in the desert", "in the sandy desert", "among dunes"],
    "lake": ["on a lake", "at a lake", "by the lake", "at the lakeside", "on the lake", "by a lake"],
    "snow field": ["in a snow field", "on a snow field", "in a snowy field", "on a field of snow", "in a snowfield"],
    "meadow": ["in a meadow", "on a meadow", "in a grassy field", "on the grass", "in a field of flowers", "on grass"],
}
SPOT = {
    "road": ["road", "highway"],
    "beach": ["beach", "seashore"], "forest": ["forest", "woods"], "city": ["city", "town"],
    "desert": ["desert", "dunes"], "lake": ["lake", "lakeside"], "snow field": ["snow field", "snowfield"],
    "meadow": ["meadow", "grassland"],
}  # fmt: skip
FAR = {
    "mountains": ["mountains", "mountain", "the mountains", "snowy peaks", "a mountain range", "high mountains"],
    "hills": ["hills", "rolling hills", "green hills", "the hills"],
    "skyline": ["a skyline", "a city skyline", "skyscrapers", "the skyline", "tall buildings"],
    "sea": ["the sea", "the ocean", "sea", "ocean"],
}
FAR_ADJECTIVE = {"mountains": "mountain", "hills": "hilly", "skyline": "skyline", "sea": "seaside"}
WHEN = {
    "day": ["during the day", "by day", "in daylight", "at noon", "in the daytime"],
    "sunset": ["at sunset", "at dusk", "in the evening", "during sunset", "at golden hour", "in the evening sun"],
    "night": ["at night", "by night", "in the night", "at midnight", "in the dark", "under the moon"],
}
WHEN_TAG = {
    "day": ["day", "daytime", "daylight"],
    "sunset": ["sunset", "dusk", "evening"],
    "night": ["night", "nighttime", "midnight"],
}
SKY = {
    "clear": ["under a clear sky", "in clear weather", "in good weather", "and the sky is clear", "without clouds"],
    "cloudy": ["under a cloudy sky", "under clouds", "in cloudy weather", "and it's cloudy", "on an overcast day"],
    "rain": [
        "in the rain",
        "and its raining",
        "while it rains",
        "and it is raining",
        "in pouring rain",
        "in rainy weather",
    ],
    "snow": [
        "while it snows",
        "and its snowing",
        "in falling snow",
        "and snow is falling",
        "in snowfall",
        "and it is snowing",
    ],
    "fog": ["in the fog", "in fog", "in the mist", "and it is foggy", "in thick fog", "in foggy weather"],
}
SKY_TAG = {
    "clear": ["clear sky", "clear", "cloudless"], "cloudy": ["cloudy", "overcast", "clouds"],
    "rain": ["rain", "rainy", "raining"], "snow": ["snow", "snowing", "snowfall"],
    "fog": ["fog", "foggy", "misty", "mist"],
}  # fmt: skip
SUNNY = ["in the sun", "in the sunshine", "in sunny weather", "on a sunny day"]
SUNNY_TAG = ["sunny", "sunshine"]
RELATED = {  # the last wording of each is never trained on
    "on": [
        "{a} on top of {b}", "{a} on {b}", "{a} stacked on {b}", "{b} under {a}", "{a} sitting on {b}",
        "{a} standing on {b}", "{a} placed on {b}", "{a} over {b}", "{b} below {a}", "{b} beneath {a}",
        "{b} with {a} on it", "on {b} is {a}", "{a} right above {b}", "{a} placed above {b}", "{a} floating above {b}",
        "{a} at the top and {b} at the bottom", "{b} at the bottom and {a} on top",
        "{a} above {b}",
    ],
    "left": [
        "{a} left of {b}", "{a} to the left of {b}", "{b} to the right of {a}", "{b} right of {a}",
        "{b} on the right of {a}", "left {a}, right {b}", "on the left {a}, on the right {b}",
        "{a} at the left, {b} at the right", "{b} on the right, {a} on the left",
        "{a} on the left side, {b} on the right side", "{a} on the left, {b} next to it", "{a} next to {b}",
        "{a} beside {b}", "{a} and {b}",
        "{a} on the left and {b} on the right",
    ],
    "front": [
        "{a} in front of {b}", "{b} behind {a}", "{a} before {b}", "{a} with {b} behind it", "{a} and behind it {b}",
        "{b} with {a} in front of it", "behind {a} is {b}", "{a} at the front, {b} at the back",
        "{b} in the back, {a} in the front", "in front {a}, behind {b}", "{a} in front, {b} in the background",
        "{a} in front and {b} behind it",
    ],
}  # fmt: skip
MEDIUM = [
    "a picture of",
    "an illustration of",
    "a drawing of",
    "picture of",
    "draw",
    "an image of",
    "a painting of",
    "imagine",
]
PRAISE = [
    "4k", "8k", "beautiful", "highly detailed", "masterpiece", "trending on artstation", "digital art", "best quality",
    "cinematic lighting", "cute", "please", "amazing", "minimalist", "flat design", "vector art", "award winning",
    "very nice", "modern style", "hd", "photorealistic", "anime", "oil painting", "sharp focus",
    "studio ghibli", "dreamy",
]  # fmt: skip


@dataclass(frozen=True)
class Caption:
    text: str
    named: dict[str, str]  # the attributes that the text tells, as Scene.attributes names them


class _Teller:
    """Picks wordings for one scene and keeps what they tell."""

    def __init__(self, scene: Scene, rng: random.Random, only: Collection[str] = VALUES) -> None:
        self.scene, self.rng, self.only, self.named = scene, rng, only, dict[str, str]()

    def pick(self, wordings: list[str]) -> str:
        return wordings[0] if self.rng.random() < 0.4 else self.rng.choice(wordings)

    def tells(self, name: str, chance: float) -> bool:
        value = self.scene.attributes().get(name, "none")
        if value == "none" or name not in self.only or self.rng.random() >= chance:
            return False
        self.named[name] = value
        return True

    def article(self, noun: str, chance: float = 0.8) -> str:
        if noun in ("someone", "somebody") or self.rng.random() >= chance:
            return noun
        return ("an " if noun[0] in "aeio" else "a ") + noun

    def subject(self) -> str:
        scene = self.scene
        if scene.subject == "none" or not self.tells("subject", 1):
            return ""
        if scene.subject == "person":
            return self._person()
        noun = self.pick(NOUN[scene.subject])
        if self.tells("colour", 0.8 if not (scene.subject == "tree" and scene.colour == "green") else 0.3):
            noun = f"{self.pick(COLOUR[scene.colour])} {noun}"
        return self.article(noun)

    def _person(self) -> str:
        scene, rng = self.scene, self.rng
        noun = self.pick(NOUN[scene.who if self.tells("who", 0.6) else "person"])
        parts = []
        hair = self.tells("hair", 0.4) and self.pick(HAIR[scene.hair])
        if hair and noun not in ("someone", "somebody") and rng.random() < 0.35 and hair != "brunette":
            noun = f"{hair}-haired {noun}" if rng.random() < 0.5 else f"{hair} haired {noun}"
        elif hair:
            parts.append(f"with {hair} hair")
        jacket = self.pick(JACKET)
        if self.tells("jacket", 0.85):
            colour = self.pick(COLOUR[scene.colour])
            parts.append(
                rng.choice(
                    [
                        f"in {self.article(f'{colour} {jacket}')}",
                        f"wearing {self.article(f'{colour} {jacket}', 0.6)}",
                        f"with a {colour} {jacket}",
                    ]
                )
            )
        elif rng.random() < 0.5:
            parts.append(rng.choice([f"wearing {jacket}", f"wearing a {jacket}"]))
        rng.shuffle(parts)
        return " ".join([self.article(noun), *parts])

    def pose(self) -> str:
        return self.pick(POSE[self.scene.pose]) if self.tells("pose", 0.5) else ""

    def place(self, chance: float = 0.88) -> str:
        return self.pick(PLACE[self.scene.setting]) if self.tells("setting", chance) else ""

    def spot(self) -> str:
        return self.pick(SPOT[self.scene.setting]) if self.tells("setting", 0.9) else ""

    def far(self) -> str:
        if not self.tells("background", 0.6):
            return ""
        far = self.pick(FAR[self.scene.background])
        return self.rng.choice(
            [
                f"with {far} in the background",
                f"with {far} in background",
                f"with {far} behind",
                f"in front of {far}",
                f"near {far}",
            ]
        )

    def far_spot(self) -> str:
        """ "on a mountain road": background and setting in one."""
        spot = self.spot()
        if spot and self.tells("background", 1):
            return f"on a {FAR_ADJECTIVE[self.scene.background]} {spot}"
        return f"at a {spot}" if spot else ""

    def when(self, tag: bool = False) -> str:
        chance = {"day": 0.4, "sunset": 0.82, "night": 0.88}[self.scene.time]
        return self.pick((WHEN_TAG if tag else WHEN)[self.scene.time]) if self.tells("time", chance) else ""

    def sky(self, tag: bool = False) -> str:
        chance = {"clear": 0.28, "cloudy": 0.72}.get(self.scene.weather, 0.9)
        if not self.tells("weather", chance):
            return ""
        if (self.scene.weather, self.scene.time) == ("clear", "day") and self.rng.random() < 0.5:
            return self.rng.choice(SUNNY_TAG if tag else SUNNY)
        return self.pick((SKY_TAG if tag else SKY)[self.scene.weather])


def caption(scene: Scene, rng: random.Random, held_out: bool = False) -> Caption:
    """A clean sentence that says only what is true; `held_out` uses the phrasings kept from training."""
    return _told(_Teller(scene, rng), held_out)


def plain(scene: Scene, named: Collection[str]) -> str:
    """The plainest sentence that tells these attributes of the scene and no other."""
    return _told(_Teller(scene, _First(), named), held_out=False).text


class _First(random.Random):
    """Always takes the first, and does what is done by chance."""

    def random(self) -> float:
        return 0.0


def _told(teller: _Teller, held_out: bool) -> Caption:
    orders = _HELD_OUT if held_out else _ORDERS
    text = _objects(teller, held_out) if teller.scene.objects else teller.rng.choice(orders)(teller)
    return Caption(re.sub(r" +(,?)", r"\1 ", text).replace("  ", " ").strip(" ,"), teller.named)


def noisy(text: str, rng: random.Random) -> str:
    """Now and then a frame, praise, a made-up word or a typing mistake, so that such words fade."""
    if rng.random() < 0.12:
        text = f"{rng.choice(MEDIUM)} {text}"
    if rng.random() < 0.15:
        text = f"{text}, {', '.join(rng.sample(PRAISE, rng.randint(1, 4)))}"
    words = text.split(" ")
    if rng.random() < 0.1:
        made_up = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))
        words.insert(rng.randrange(len(words) + 1), rng.choice([made_up, rng.choice(PRAISE)]))
    if rng.random() < 0.08:
        place = rng.randrange(len(words))
        words[place] = _mistyped(words[place], rng)
    return " ".join(words)


def _mistyped(word: str, rng: random.Random) -> str:
    if len(word) < 4:
        return word
    i = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:], word[:i] + word[i + 1] + word[i] + word[i + 2 :]]
    )


def _commas(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _sentence(t: _Teller) -> str:
    head = f"{t.subject()} {t.pose()} {t.place()}"
    tail = [t.far(), t.when(), t.sky()]
    if t.rng.random() < 0.4:
        t.rng.shuffle(tail)
    return f"{head} {' '.join(tail)}"


def _wearing_last(t: _Teller) -> str:
    """The subject's clothes after the place, as in "A person standing on road wearing jacket"."""
    head, _, rest = re.sub(r" (in|wearing|with) ", r" | \1 ", t.subject(), count=1).partition(" | ")
    return f"{head} {t.pose()} {t.place(1)} {rest} {t.far()} {t.when()} {t.sky()}"


def _tags(t: _Teller) -> str:
    parts = [
        t.subject(),
        t.spot(),
        t.when(tag=True),
        t.sky(tag=True),
        (t.tells("background", 0.5) and t.pick(FAR[t.scene.background])) or "",
    ]
    t.rng.shuffle(parts)
    return _commas(*parts)


def _adjectives(t: _Teller) -> str:
    return _commas(f"{t.when(tag=True)} {t.spot()}", t.sky(tag=True), t.subject(), t.pose())


def _spot_with(t: _Teller) -> str:
    spot = t.spot()
    return f"{t.article(spot) if spot else ''} {t.when()} {t.far()}, {t.subject()} {t.pose()} {t.sky()}"


def _mountain_road(t: _Teller) -> str:
    return f"{t.subject()} {t.pose()} {t.far_spot()} {t.when()} {t.sky()}"


def _time_first(t: _Teller) -> str:
    return _commas(t.when(), f"{t.subject()} {t.pose()} {t.place()}", f"{t.far()} {t.sky()}")


def _only_subject(t: _Teller) -> str:
    return t.subject() or _mountain_road(t)


_ORDERS: list[Callable[[_Teller], str]] = [
    _sentence, _sentence, _sentence, _wearing_last, _tags, _adjectives, _spot_with, _mountain_road,
    _time_first, _only_subject,
]  # fmt: skip


def _sky_first(t: _Teller) -> str:
    return _commas(t.sky(tag=True), f"{t.place(1)} {t.when()} {t.subject()} {t.pose()}", t.far())


def _place_first(t: _Teller) -> str:
    return _commas(f"{t.place(1)} {t.far()}", f"{t.subject()} {t.sky()} {t.when()}")


def _when_tag_last(t: _Teller) -> str:
    return _commas(f"{t.subject()} {t.far()} {t.place(1)}", f"{t.sky(tag=True)} {t.when(tag=True)}")


_HELD_OUT: list[Callable[[_Teller], str]] = [_sky_first, _place_first, _when_tag_last]


def _thing(t: _Teller, place: int) -> str:
    shape, colour = t.scene.objects[place]
    t.named[f"shape {place}"] = shape
    noun = t.pick(NOUN[shape])
    return t.article(f"{t.pick(COLOUR[colour])} {noun}" if t.tells(f"shape colour {place}", 0.92) else noun)


def _objects(t: _Teller, held_out: bool) -> str:
    things = [_thing(t, place) for place in range(len(t.scene.objects))]
    t.named["relation"] = t.scene.relation
    text = _related(t, things, held_out)
    if t.tells("backdrop", 0.5):
        colour = t.scene.backdrop
        text += t.rng.choice(
            [f" on a {colour} background", f", {colour} background", f" on a plain {colour} backdrop", f" on {colour}"]
        )
    return text


def _related(t: _Teller, things: list[str], held_out: bool) -> str:
    if t.scene.relation == "one":
        return things[0]
    if t.scene.relation == "row":
        return f"{things[0]}, {things[1]} and {things[2]}" + t.rng.choice(["", " in a row", " side by side"])
    *wordings, never_trained = RELATED[t.scene.relation]
    return (never_trained if held_out else t.rng.choice(wordings)).format(a=things[0], b=things[1])
