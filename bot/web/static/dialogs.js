// The large view, the Remix form, Info and the film strip.

import { post } from "./api.js";
import { alt, moreItems, shown } from "./card.js";
import { $, announce, button, el, menu, openDialog, rich } from "./dom.js";

const SHAPES = ["1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9"];

function shapeOf({ width, height }) {
  const near = SHAPES.find((shape) => { const [w, h] = shape.split(":"); return Math.abs(Math.log((width / height) / (w / h))) < 0.004; });
  return near ?? `${width}:${height}`;
}

// Words as they are typed: what would be a flag or a permutation stays a word.
const escaped = (text) => text.replace(/[\\{]/g, "\\$&").replace(/(^|\s)(?=--|[—–]|-[sn](?:[\s=]|$))/g, "$1\\");

export function openViewer(job, index, act) {
  const viewer = $("viewer");
  const images = shown(job);
  let at = Math.max(0, images.findIndex((image) => image.index === index));
  const leaving = (verb, i) => { viewer.close(); act(job, verb, i); };
  function draw() {
    const image = images[at];
    const isDraft = job.request.quality === "draft";
    viewer.style.setProperty("--ratio", image.width / image.height);
    viewer.replaceChildren(
      el("figure", {}, el("img", { src: image.jpeg_url, alt: alt(job), width: image.width, height: image.height }),
        el("figcaption", {}, el("span", {}, alt(job)), el("span", { class: "line" }, ...rich(`\`${job.id}\` · seed ${image.seed} · ${image.width}×${image.height}`)))),
      el("div", { class: "buttons" },
        images.length > 1 && button("‹", () => step(-1), "square"), images.length > 1 && el("span", { class: "line" }, `${at + 1} of ${images.length}`),
        images.length > 1 && button("›", () => step(1), "square"),
        isDraft && button("Full size", () => leaving("full_size", image.index)),
        button("Vary", () => leaving("vary", image.index)), menu("More…", moreItems(job, image.index, leaving)),
        button("Close", () => viewer.close(), "primary")));
  }
  function step(by) {
    at = (at + by + images.length) % images.length;
    draw();
    announce(`Picture ${at + 1} of ${images.length}`);
  }
  viewer.onkeydown = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by && images.length > 1) step(by);
  };
  draw();
  viewer.showModal();
  viewer.querySelector(".primary").focus();
}

function field(label, control, note) {
  return el("label", { class: "labelled" }, el("span", {}, label), control, note && el("small", {}, note));
}

function select(options, value) {
  const node = el("select", {}, options.map(([name, label]) => el("option", { value: name }, label)));
  node.value = value;
  return node;
}

export function openRemix(job, index, submit) {
  const { request } = job;
  const shape = shapeOf(request);
  const seed = String(job.images.find((image) => image.index === index)?.seed ?? request.seed);
  const prompt = el("textarea", { rows: 3, maxlength: 1500 });
  prompt.value = escaped(request.prompt);
  const negative = el("input", { maxlength: 1500, value: request.negative_prompt ?? "" });
  const aspect = select((SHAPES.includes(shape) ? SHAPES : [shape, ...SHAPES]).map((each) => [each, each]), shape);
  const quality = select([["full", "Full, 2048 px"], ["draft", "Draft, half the price"]], request.quality);
  const seeds = select([[seed, `Keep ${seed}`], ["random", "A new one"]], seed);
  const form = el("form", { class: "remix" }, field("Prompt", prompt), field("Without", negative, "what should not be there"),
    el("div", { class: "pair" }, field("Shape", aspect), field("Quality", quality), field("Seed", seeds)),
    el("div", { class: "buttons end" }, el("button", { type: "submit", class: "primary" }, "Draw")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    dialog.close();
    const without = escaped(negative.value.trim());
    await submit(`/imagine ${prompt.value} --no ${without} --ar ${aspect.value} --quality ${quality.value} --seed ${seeds.value}`);
  });
  const dialog = openDialog(`Remix ${job.id}`, form);
  prompt.focus();
}

export async function showInfo(job, index) {
  const { info } = await post(`/api/jobs/${job.id}/info`, { index });
  const copy = button("Copy", async () => { await navigator.clipboard.writeText(info.command); copy.textContent = "Copied"; }, "soft");
  openDialog("Info", el("dl", { class: "info" }, info.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, rich(value))])),
    el("pre", { class: "command", tabindex: "0" }, info.command), el("div", { class: "buttons end" }, copy));
}

export function showStrip(job, index) {
  const image = job.images.find((each) => each.index === index);
  openDialog("How it was made", el("p", { class: "quiet" }, "From noise to picture, left to right."),
    el("div", { class: "strip", tabindex: "0" }, el("img", { src: image.strip_url, alt: `The steps that drew ${alt(job)}` })));
}
