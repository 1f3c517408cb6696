"""The image classifier: its verdicts, what becomes of them in the tick loop, and that it is closed where it fails."""

import msgspec
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker as Checker
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from engine.families import BadModel
from engine.loop import TickLoop, _read_pixels
from engine.protocol import Done, Failed, Generate, ImageDone, ImageWithheld, Preview, Upscale
from engine.safety import ClipClassifier, load_classifier
from tests import test_loop
from tests.test_loop import RED_CAR
from tests.tiny import TINY, save_tiny_checker, save_tiny_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CHECKED = msgspec.structs.replace(TINY, photographic=True, safety_folder="tiny/safety_checker")
SMALL = msgspec.structs.replace(RED_CAR, quality="draft", width=64, height=64, steps=4)
FOUR = msgspec.structs.replace(SMALL, count=4)
CPU = torch.device("cpu")


class Engine(test_loop.Engine):
    def __init__(self, models, spool):
        self.events, self.spool = test_loop.Events(), spool
        self.loop = TickLoop(self.events, models, {"tiny": CHECKED}, torch.float32)
        self.of, self._wanted = self.events.of, set()
        spool.mkdir(exist_ok=True)

    def generate(self, job_id, request, **more):
        (self.spool / job_id).mkdir()
        command = Generate(
            job_id=job_id, owner=1, weight=1.0, request=request, spool_dir=str(self.spool / job_id), **more
        )
        self.events.commands.put(command)
        self._wanted.add(job_id)

    def finish(self):
        while self._wanted - {event.job_id for event in self.of(Done, Failed)}:
            self.loop.turn()


@pytest.fixture
def models(tmp_path):
    save_tiny_pipeline(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def folder(models):
    save_tiny_checker(models / "tiny/safety_checker")
    return models / "tiny/safety_checker"


@pytest.fixture
def engine(models, folder, tmp_path):
    return Engine(models, tmp_path)


def change(folder, **tensors):
    file = folder / "model.safetensors"
    save_file(load_file(file) | tensors, file)


def teach(folder, image, limit=0.999):
    """Have the classifier flag what looks like this."""
    classifier = ClipClassifier(folder, CPU)
    seen = embedded(classifier, image)[1:].repeat(17, 1).contiguous()
    change(folder, concept_embeds=seen, concept_embeds_weights=torch.full((17,), limit))


def embedded(classifier, image):
    return normalize(classifier._vision(pixel_values=views(classifier, image)).pooler_output @ classifier._projection.T)


def views(classifier, image):
    return torch.stack([(view - classifier._mean) / classifier._std for view in classifier._views(image)])


def test_it_judges_as_the_checker_whose_files_it_reads(tmp_path):
    checker = save_tiny_checker(tmp_path)
    classifier, images, verdicts = ClipClassifier(tmp_path, CPU), [], []
    for seed in range(30):
        torch.manual_seed(seed)
        images.append(torch.rand(3, 40, 40) * torch.rand(3, 1, 1))
    nearest = [(embedded(classifier, image) @ normalize(classifier._concepts).T).max() for image in images]
    change(
        tmp_path,
        concept_embeds_weights=torch.full((17,), float(torch.stack(nearest).median())),
        special_care_embeds_weights=torch.zeros(3),
    )
    checker, classifier = type(checker).from_pretrained(tmp_path), ClipClassifier(tmp_path, CPU)
    for image in images:
        _, flagged = checker(views(classifier, image), torch.zeros(2, 1))
        verdicts.append(classifier.flags(image))
        assert verdicts[-1] == any(flagged)
    assert len(set(verdicts)) == 2


class Seen:
    """Stands for a network: the same views, whatever it is shown."""

    def __init__(self, views):
        self.pooler_output = views

    def __call__(self, *_, **__):
        return self

    def __getitem__(self, _):
        return self.pooler_output


def test_its_limits_are_those_of_the_checker_and_never_laxer(folder, monkeypatch):
    checker, classifier = Checker.from_pretrained(folder), ClipClassifier(folder, CPU)
    monkeypatch.setattr(classifier, "_projection", torch.eye(16))
    verdicts = []
    for seed in range(300):
        torch.manual_seed(seed)
        seen, classifier._concepts, classifier._special = torch.randn(2, 16), torch.randn(17, 16), torch.randn(3, 16)
        classifier._limits, classifier._special_limits = torch.rand(17) * 0.8 + 0.2, torch.rand(3) * 0.8
        checker.concept_embeds.data, checker.special_care_embeds.data = classifier._concepts, classifier._special
        checker.concept_embeds_weights.data = classifier._limits
        checker.special_care_embeds_weights.data = classifier._special_limits
        monkeypatch.setattr(classifier, "_vision", Seen(seen))
        monkeypatch.setitem(checker._modules, "vision_model", Seen(seen))
        monkeypatch.setitem(checker._modules, "visual_projection", torch.nn.Identity())
        _, flagged = checker(seen, torch.zeros(2, 1))
        verdicts.append((any(flagged), classifier.flags(torch.rand(3, 32, 32))))
    assert [verdict for verdict in verdicts if verdict == (True, False)] == []
    assert verdicts.count((False, True)) <= 3  # the checker rounds to three digits
    assert min(verdicts.count((True, True)), verdicts.count((False, False))) > 30


def test_what_stands_at_a_side_is_seen_too(folder):
    image = torch.zeros(3, 64, 192)
    image[0, :, 150:] = 1.0
    teach(folder, image)
    assert ClipClassifier(folder, CPU).flags(image)
    assert not ClipClassifier(folder, CPU).flags(torch.rand(3, 64, 64))


def test_its_weights_are_read_and_none_are_drawn_at_random_first(folder, monkeypatch):
    fill, empty = ClipClassifier._fill, []

    def watched(network, tensors):
        empty.extend(each.is_meta for each in network.parameters())
        fill(network, tensors)

    monkeypatch.setattr(ClipClassifier, "_fill", staticmethod(watched))
    vision = ClipClassifier(folder, CPU)._vision
    assert all(empty)
    assert not any(each.is_meta for each in (*vision.parameters(), *vision.buffers()))


def test_names_of_older_releases_are_read(folder):
    tensors = load_file(folder / "model.safetensors")
    older = {
        name.replace("vision_model.", "vision_model.vision_model.", 1) if "vision_model.v" not in name else name: tensor
        for name, tensor in tensors.items()
    }
    save_file(
        older | {"vision_model.vision_model.embeddings.position_ids": torch.zeros(1, 17)}, folder / "model.safetensors"
    )
    assert not ClipClassifier(folder, CPU).flags(torch.rand(3, 64, 64))


@pytest.mark.parametrize("missing", ["concept_embeds", "visual_projection.weight", "post_layernorm"])
def test_a_damaged_classifier_keeps_its_model_from_drawing(models, folder, tmp_path, missing):
    tensors = {name: t for name, t in load_file(folder / "model.safetensors").items() if missing not in name}
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BadModel):
        load_classifier(CHECKED, models, CPU)
    engine = Engine(models, tmp_path)
    engine.generate("a", SMALL)
    engine.finish()
    [failed] = engine.of(Failed)
    assert failed.kind == "bad_model"


def test_scores_that_are_no_numbers_show_nothing(engine, folder):
    change(folder, concept_embeds=torch.full((17, 16), torch.nan))
    engine.generate("a", SMALL, if_flagged="keep")
    engine.finish()
    assert engine.of(ImageDone, Preview) == []
    assert [failed.kind for failed in engine.of(Failed)] == ["internal"]


def test_a_photographic_model_without_its_classifier_draws_only_where_that_was_said(models, tmp_path):
    engine = Engine(models, tmp_path)
    engine.generate("a", SMALL)
    engine.generate("b", SMALL, is_unchecked=True)
    engine.finish()
    [failed] = engine.of(Failed)
    assert (failed.job_id, failed.kind) == ("a", "unsafe")
    assert [done.job_id for done in engine.of(ImageDone)] == ["b"]


def test_one_of_four_is_withheld_and_nothing_of_it_is_on_disk(engine, folder, models, tmp_path):
    engine.generate("a", FOUR)
    engine.finish()
    teach(folder, read(engine, "a", 2))
    judge = ClipClassifier(folder, CPU)
    flagged = [index for index in range(4) if judge.flags(read(engine, "a", index))]
    assert 2 in flagged
    again = Engine(models, tmp_path / "again")
    again.generate("a", FOUR)
    again.finish()
    withheld = [event.index for event in again.of(ImageWithheld)]
    assert 2 in withheld
    assert sorted(withheld + [event.index for event in again.of(ImageDone)]) == [0, 1, 2, 3]
    assert len(again.of(Done)) == 1
    assert not list((again.spool / "a").glob("2.*"))
    assert len(withheld) < 4


def test_a_flagged_image_is_kept_where_it_may_be_and_marked(engine, folder):
    change(folder, concept_embeds_weights=torch.full((17,), -2.0))  # everything is flagged
    engine.generate("a", SMALL, if_flagged="keep")
    engine.generate("b", SMALL)
    engine.finish()
    assert [(done.job_id, done.is_flagged) for done in engine.of(ImageDone)] == [("a", True)]
    assert [event.job_id for event in engine.of(ImageWithheld)] == ["b"]
    assert engine.of(Preview) == []  # nobody is asked before a preview is seen


def test_a_draft_is_judged_again_when_it_is_enlarged(engine, folder, models, tmp_path):
    engine.generate("a", SMALL)
    engine.finish()
    change(folder, concept_embeds_weights=torch.full((17,), -2.0))
    again = Engine(models, tmp_path / "again")
    source = str(engine.spool / "a" / "0.png")
    again.generate("b", Upscale(source=source, of=SMALL, width=512, height=512))
    again.finish()
    assert [event.job_id for event in again.of(ImageWithheld)] == ["b"]


def read(engine, job_id, index):
    return _read_pixels(str(engine.spool / job_id / f"{index}.png"))
