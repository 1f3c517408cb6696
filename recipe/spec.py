"""What a scene shows: the attributes of the built-in model's world, drawn from a seed."""

import random
from dataclasses import dataclass

COLOURS = {
    "red": (214, 48, 49), "orange": (243, 132, 32), "yellow": (250, 205, 50), "green": (48, 152, 82),
    "blue": (44, 104, 214), "purple": (128, 66, 176), "pink": (244, 132, 178), "brown": (124, 78, 48),
    "black": (38, 38, 44), "white": (245, 245, 242), "grey": (138, 143, 150), "teal": (24, 166, 164),
}  # fmt: skip
HAIR = {
    "black": (34, 28, 30),
    "brown": (104, 62, 34),
    "blonde": (238, 200, 104),
    "red": (196, 74, 32),
    "grey": (172, 172, 178),
}
FUR = {
    "brown": (146, 92, 54),
    "black": (50, 48, 54),
    "white": (240, 236, 228),
    "grey": (140, 144, 152),
    "orange": (232, 142, 62),
}
LEAVES = ("green", "green", "green", "orange", "red", "yellow", "pink")

SUBJECTS = ("person", "dog", "cat", "house", "tree", "car", "boat", "none")
SETTINGS = ("road", "beach", "forest", "city", "desert", "lake", "snow field", "meadow")
BACKGROUNDS = ("mountains", "hills", "skyline", "sea", "none")
TIMES = ("day", "sunset", "night")
WEATHERS = ("clear", "cloudy", "rain", "snow", "fog")
PEOPLE = ("man", "woman")
POSES = ("standing", "walking")
SHAPES = ("cube", "sphere", "cylinder", "pyramid", "cone")
RELATIONS = ("one", "on", "left", "front", "row")
BACKDROPS = ("white", "grey", "blue", "pink", "yellow", "green", "black")

VALUES: dict[str, tuple[str, ...]] = {
    "setting": SETTINGS, "background": BACKGROUNDS, "time": TIMES, "weather": WEATHERS, "subject": SUBJECTS,
    "jacket": tuple(COLOURS), "hair": tuple(HAIR), "who": PEOPLE, "pose": POSES, "colour": tuple(COLOURS),
    "relation": RELATIONS, "backdrop": BACKDROPS,
    **{f"shape {i}": SHAPES for i in range(3)}, **{f"shape colour {i}": tuple(COLOURS) for i in range(3)},
}  # fmt: skip

_IMPOSSIBLE = {
    "car": {"lake", "forest"}, "house": {"lake"}, "boat": {"road", "forest", "city", "desert", "snow field", "meadow"},
}  # fmt: skip
_NO_SEA = {"forest", "desert", "lake", "snow field"}


@dataclass(frozen=True)
class Scene:
    """A landscape with a subject, or (`relation` set) objects on a plain backdrop."""

    seed: int
    setting: str = ""
    background: str = ""
    time: str = ""
    weather: str = ""
    subject: str = ""
    colour: str = ""  # of the jacket, fur, wall, crown, car or hull
    who: str = ""
    hair: str = ""
    pose: str = ""
    relation: str = ""
    objects: tuple[tuple[str, str], ...] = ()  # (shape, colour): top, left or front one first
    backdrop: str = ""

    def attributes(self) -> dict[str, str]:
        """Every attribute that a picture of this scene shows, by name."""
        if self.objects:
            named = {"relation": self.relation, "backdrop": self.backdrop}
            for place, (shape, colour) in enumerate(self.objects):
                named |= {f"shape {place}": shape, f"shape colour {place}": colour}
            return named
        named = {"setting": self.setting, "background": self.background, "time": self.time}
        named |= {"weather": self.weather, "subject": self.subject}
        if self.subject == "person":
            return named | {"jacket": self.colour, "hair": self.hair, "who": self.who, "pose": self.pose}
        return named | {"colour": self.colour} if self.colour else named


def random_scene(seed: int) -> Scene:
    """The scene of this seed; one in six shows objects."""
    rng = random.Random(seed)
    return _objects(seed, rng) if rng.random() < 1 / 6 else _landscape(seed, rng)


def _objects(seed: int, rng: random.Random) -> Scene:
    relation = rng.choice(("one", "on", "on", "left", "left", "front", "front", "row"))
    count = {"one": 1, "row": 3}.get(relation, 2)
    backdrop = rng.choice(BACKDROPS)
    colours = rng.sample([c for c in COLOURS if c != backdrop], count)
    shapes = [rng.choice(SHAPES) for _ in range(count)]
    if relation == "on":
        shapes[1] = rng.choice(("cube", "cylinder", "sphere", "cube"))
    return Scene(seed, relation=relation, objects=tuple(zip(shapes, colours, strict=True)), backdrop=backdrop)


def _landscape(seed: int, rng: random.Random) -> Scene:
    subject = rng.choice(("person",) * 6 + ("dog", "cat", "house", "tree", "car", "boat", "car", "none"))
    setting = rng.choice([s for s in SETTINGS if s not in _IMPOSSIBLE.get(subject, ())])
    background = rng.choice([b for b in BACKGROUNDS if not (b == "sea" and setting in _NO_SEA)])
    colour = {
        "person": rng.choice(list(COLOURS)), "dog": rng.choice(list(FUR)), "cat": rng.choice(list(FUR)),
        "tree": rng.choice(LEAVES), "none": "",
    }.get(subject, rng.choice(list(COLOURS)))  # fmt: skip
    person = subject == "person"
    return Scene(
        seed, setting, background, rng.choice(TIMES), rng.choice(WEATHERS), subject, colour,
        who=rng.choice(PEOPLE) if person else "", hair=rng.choice(list(HAIR)) if person else "",
        pose=rng.choice(POSES) if person else "",
    )  # fmt: skip
