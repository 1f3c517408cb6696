"""The family's steps against diffusers' own pipeline: alone and in mixed company."""

import msgspec
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image

from engine.families import BadModel, BadRequest
from engine.families.sd import SCHEDULERS, StableDiffusion
from engine.protocol import Draw
from tests.tiny import TINY, save_tiny_pipeline

CPU = torch.device("cpu")
MIXED = [
    Draw(prompt="a red car", negative_prompt=None, model="tiny", seed=1, count=1, steps=7, guidance_scale=4.0,
         scheduler="ddim", width=64, height=64),
    Draw(prompt="a dog", negative_prompt="a cat", model="tiny", seed=2, count=1, steps=5, guidance_scale=7.5,
         scheduler="euler", width=64, height=64),
    Draw(prompt="", negative_prompt=None, model="tiny", seed=3, count=1, steps=6, guidance_scale=2.0,
         scheduler="euler_a", width=64, height=64),
    Draw(prompt="a house at night", negative_prompt=None, model="tiny", seed=4, count=1, steps=9, guidance_scale=5.0,
         scheduler="dpmpp_2m", width=64, height=64),
]  # fmt: skip


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def tiny(request, tmp_path_factory):
    """(family, plain pipeline) over the same folder."""
    models = tmp_path_factory.mktemp("models")
    folder = save_tiny_pipeline(models, prediction_type=request.param)
    family = loaded(models)
    plain = StableDiffusionPipeline(
        vae=family._vae, text_encoder=family._text_encoder, tokenizer=family._tokenizer, unet=family._unet,
        scheduler=SCHEDULERS["ddim"].from_pretrained(folder / "scheduler"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    plain.set_progress_bar_config(disable=True)
    return family, plain


def loaded(models) -> StableDiffusion:
    family = StableDiffusion(TINY, models / "tiny", CPU, torch.float32)
    for _ in family.load():
        pass
    return family


def plainly(plain, draw: Draw, **more) -> torch.Tensor:
    """What diffusers' own pipeline draws: [3, h, w] in 0 … 1."""
    plain.scheduler = SCHEDULERS[draw.scheduler].from_config(plain.scheduler.config)
    size = {} if "image" in more else {"width": draw.width, "height": draw.height}
    images = plain(
        draw.prompt, negative_prompt=draw.negative_prompt, num_inference_steps=draw.steps,
        guidance_scale=draw.guidance_scale, generator=torch.Generator("cpu").manual_seed(draw.seed),
        output_type="np", **size, **more,
    ).images  # fmt: skip
    return torch.from_numpy(images[0]).permute(2, 0, 1)


def alone(family, draw: Draw) -> torch.Tensor:
    image = family.begin(draw, 0, draw.width, draw.height)
    while not image.is_done:
        family.step([image])
    return family.decode(image.latents)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestAgainstDiffusers:
    @pytest.mark.parametrize("draw", MIXED, ids=lambda draw: draw.scheduler)
    @pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 48)])
    def test_an_image_alone_is_the_pipelines_image(self, tiny, draw, width, height):
        family, plain = tiny
        draw = msgspec.structs.replace(draw, width=width, height=height)
        torch.testing.assert_close(alone(family, draw), plainly(plain, draw), atol=1e-4, rtol=0)

    def test_images_that_join_and_leave_a_batch_equal_each_drawn_alone(self, tiny):
        family, plain = tiny
        arriving, drawing, done = list(MIXED), [], {}
        while arriving or drawing:
            if arriving:
                draw = arriving.pop(0)
                drawing.append((draw, family.begin(draw, 0, 64, 64)))
            family.step([image for _, image in drawing])
            done |= {draw.scheduler: image for draw, image in drawing if image.is_done}
            drawing = [(draw, image) for draw, image in drawing if not image.is_done]
        for draw in MIXED:
            mixed = family.decode(done[draw.scheduler].latents)
            torch.testing.assert_close(mixed, plainly(plain, draw), atol=1e-4, rtol=0)

    def test_without_guidance_one_row_is_enough(self, tiny):
        family, plain = tiny
        draw = msgspec.structs.replace(MIXED[0], guidance_scale=1.0)
        assert not family.begin(draw, 0, 64, 64).is_guided
        torch.testing.assert_close(alone(family, draw), plainly(plain, draw), atol=1e-4, rtol=0)

    @pytest.mark.parametrize("scheduler", SCHEDULERS)
    def test_an_image_drawn_over_is_the_img2img_pipelines_image(self, tiny, tmp_path, scheduler):
        family, plain = tiny
        start = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB")
        start.save(tmp_path / "start.png")
        draw = msgspec.structs.replace(
            MIXED[0], scheduler=scheduler, steps=8, init_image=str(tmp_path / "start.png"), strength=0.6
        )
        img2img = StableDiffusionImg2ImgPipeline(**plain.components, requires_safety_checker=False)
        img2img.set_progress_bar_config(disable=True)
        expected = plainly(img2img, draw, image=start, strength=0.6)
        torch.testing.assert_close(alone(family, draw), expected, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpmpp_2m"])  # the others take noise in another order
    def test_what_a_mask_lets_through_is_the_inpaint_pipelines_image(self, tiny, masked, scheduler):
        family, plain = tiny
        draw = msgspec.structs.replace(masked, scheduler=scheduler)
        inpaint = StableDiffusionInpaintPipeline(**plain.components, requires_safety_checker=False)
        inpaint.set_progress_bar_config(disable=True)
        image, mask = (Image.open(path) for path in (draw.init_image, draw.mask))
        expected = plainly(inpaint, draw, image=image, mask_image=mask, strength=draw.strength)
        torch.testing.assert_close(alone(family, draw), expected, atol=1e-4, rtol=0)

    def test_a_masked_image_in_company_is_the_one_drawn_alone(self, tiny, masked):
        family, _ = tiny
        draw = msgspec.structs.replace(masked, scheduler="euler_a")
        drawn, others = family.begin(draw, 0, 64, 64), [family.begin(each, 0, 64, 64) for each in MIXED[:2]]
        while not drawn.is_done:
            family.step([drawn, *(each for each in others if not each.is_done)])
        torch.testing.assert_close(family.decode(drawn.latents), alone(family, draw), atol=1e-4, rtol=0)


@pytest.fixture
def masked(tmp_path):
    """The right half of a picture is to be drawn again."""
    start, mask = tmp_path / "start.png", tmp_path / "mask.png"
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB").save(start)
    halves = Image.new("L", (64, 64), 0)
    halves.paste(255, (32, 0, 64, 64))
    halves.save(mask)
    return msgspec.structs.replace(MIXED[0], steps=8, init_image=str(start), strength=0.8, mask=str(mask))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_outside_the_mask_the_latents_stay_the_originals(tiny, masked, scheduler):
    family, _ = tiny
    image = family.begin(msgspec.structs.replace(masked, scheduler=scheduler), 0, 64, 64)
    before = image.kept.clean
    while not image.is_done:
        family.step([image])
        assert image.clean is not None
        torch.testing.assert_close(image.clean[..., :4], before[..., :4])
    torch.testing.assert_close(image.latents[..., :4], before[..., :4])
    assert (image.latents[..., 4:] - before[..., 4:]).abs().mean() > 0.1


def test_a_mask_without_any_white_is_refused(tiny, masked, tmp_path):
    family, _ = tiny
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    with pytest.raises(BadRequest, match="nothing of the mask"):
        family.begin(msgspec.structs.replace(masked, mask=str(tmp_path / "black.png")), 0, 64, 64)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_clean_guess_ends_as_the_image(tiny):
    family, _ = tiny
    for draw in MIXED:
        image = family.begin(draw, 0, 64, 64)
        while not image.is_done:
            family.step([image])
        assert image.clean is not None
        assert image.clean.shape == image.latents.shape


def test_a_strength_that_leaves_no_step_is_refused(tiny, tmp_path):
    family, _ = tiny
    Image.new("RGB", (64, 64)).save(tmp_path / "start.png")
    draw = msgspec.structs.replace(MIXED[0], init_image=str(tmp_path / "start.png"), strength=0.1)
    with pytest.raises(BadRequest, match="leaves none"):
        family.begin(draw, 0, 64, 64)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "a tensor short"])
def test_a_damaged_model_names_the_folder_that_is(tmp_path, part, damage):
    folder = save_tiny_pipeline(tmp_path)
    weights = next((folder / part).glob("*.safetensors"))
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        from safetensors.torch import load_file, save_file

        tensors = load_file(weights)
        tensors.pop(min(tensors))
        save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(BadModel, match=part):
        loaded(tmp_path)
