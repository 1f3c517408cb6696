// One job as people see it: what was asked, the picture as it comes, what it is, and what can be done with it.

import { announce, button, el, menu, rich } from "./dom.js";

export const isShown = (image) => image.status === "done";
export const shown = (job) => job.images.filter(isShown);
export const alt = (job) => job.request.prompt || "A scene";

const WAITING = ["received", "queued", "running", "rendered"];
export const isWaiting = (job) => WAITING.includes(job.status);

export function picture(job, image, onclick) {
  const many = job.request.count > 1;
  return el("button", { type: "button", class: "picture", onclick, "aria-label": `Open picture${many ? ` ${image.index + 1}` : ""}: ${alt(job)}` },
    el("img", { class: image.is_flagged ? "flagged" : "", src: image.jpeg_url, alt: alt(job), width: image.width, height: image.height, decoding: "async" }),
    many && el("span", { class: "number", "aria-hidden": "true" }, String(image.index + 1)));
}

export function moreItems(job, index, act) {
  const image = job.images.find((each) => each.index === index);
  const many = job.request.count > 1 && index === null;
  return [
    ["Info", () => act("info", index ?? 0)],
    !many && ["Vary slightly", () => act("vary_slightly", index)],
    job.request.kind === "draw" && ["Four more seeds", () => act("four_more", index ?? 0)],
    image?.strip_url && ["How it was made", () => act("how", index)],
    image && ["Original file", () => act("original", index)],
    image && ["Report", () => act("report", index)],
    [many ? "Delete all" : "Delete", () => act("delete", many ? null : index), "danger"],
  ].filter(Boolean);
}

function verbs(job, act) {
  const images = shown(job);
  const own = job.actions.length || isWaiting(job) ? job.actions : [{ label: "Run again", verb: "again" }];
  if (job.status !== "delivered") return [own.map(({ label, verb, command }) => button(label, () => act(verb, 0, command), isWaiting(job) ? "" : "primary soft"))];
  if (!images.length) return [[button("Run again", () => act("again", 0), "primary soft")]];
  const many = job.request.count > 1;
  const index = images[0].index;
  const row = [button("Re-roll", () => act("reroll", index)), button("Remix", () => act("remix", index))];
  if (!many) row.push(button("Vary", () => act("vary", index)));
  if (!many && job.request.quality === "draft") row.push(button("Full size", () => act("full_size", index), "primary soft"));
  row.push(menu("More…", moreItems(job, many ? null : index, act)));
  if (!many) return [row];
  const each = (label, name, verb) => el("span", { class: "buttons" }, images.map(({ index: i }) =>
    el("button", { type: "button", class: "square", "aria-label": `${name} ${i + 1}`, onclick: () => act(verb, i) }, `${label}${i + 1}`)));
  return [[each("", "Pick picture", "view"), each("V", "Vary picture", "vary")], row];
}

const STAGES = { loading: "Loading the model", drawing: "Drawing", enlarging: "Enlarging", encoding: "Saving" };

function spoken(job) {
  if (job.status === "queued") return `Queued: ${alt(job)}`;
  if (job.status === "running") return `${STAGES[job.live?.stage] ?? "Drawing"}: ${alt(job)}`;
  if (job.status === "delivered") return `Done: ${alt(job)}`;
  return job.line;
}

export class Card {
  #was = {};

  constructor(job, { act, thread }) {
    this.act = (verb, index, text) => act(this.job, verb, index, text);
    this.frame = el("div", { class: "frame" });
    this.line = el("p", { class: "line" });
    this.verbs = el("div", { class: "verbs" });
    this.thread = thread && el("button", { type: "button", class: "thread-link", hidden: true, onclick: () => thread(this.job) });
    this.lineage = el("p", { class: "lineage", hidden: true });
    this.node = el("article", { class: "card", id: `${thread ? "" : "t-"}${job.id}`, "aria-label": alt(job), tabindex: "-1" },
      this.lineage, el("p", { class: "asked" }, alt(job)), this.frame, this.line, this.verbs, this.thread);
    this.update(job);
  }

  update(job) {
    const before = this.job?.status;
    this.job = job;
    this.node.dataset.status = job.status;
    this.#when("lineage", job.lineage?.line, () => { this.lineage.replaceChildren(...rich(job.lineage?.line ?? "")); this.lineage.hidden = !job.lineage; });
    const line = job.status === "delivered" && !shown(job).length ? "deleted; its recipe is kept" : job.line.replace(/ [▓░]+/, "").replace(/(\d|seeds?) (?=[a-z%\d])/g, "$1\u00a0");
    this.#when("line", line, () => this.line.replaceChildren(...rich(line, isWaiting(job))));
    this.#when("frame", [isWaiting(job), job.images.map((image) => image.status)], () => this.#drawFrame(job));
    this.#when("verbs", [job.status, job.images.map((image) => image.status)], () => this.#drawVerbs(job));
    this.#progress(job);
    if (before && before !== job.status && this.thread !== null) announce(spoken(job));
  }

  setChildren(children) {
    if (!this.thread) return;
    this.thread.hidden = !children.length;
    this.#when("thread", children.map((child) => [child.id, shown(child).length]), () => this.thread.replaceChildren(
      el("span", { class: "stack", "aria-hidden": "true" }, children.flatMap((child) => shown(child).slice(0, 1)).slice(-3)
        .map((image) => el("img", { src: image.jpeg_url, alt: "", loading: "lazy" }))),
      `${children.length} in the thread`));
  }

  #when(part, value, draw) {
    const key = JSON.stringify(value ?? null);
    if (this.#was[part] === key) return;
    this.#was[part] = key;
    draw();
  }

  #drawFrame(job) {
    const { width, height, count } = job.request;
    const images = shown(job);
    const waiting = isWaiting(job);
    this.frame.hidden = !waiting && !images.length;
    this.frame.className = `frame${count > 1 ? " many" : ""}${waiting ? " waiting" : ""}`;
    this.frame.style.setProperty("--ratio", width / height);
    const isDone = new Set(images.map((image) => image.index));
    this.previews = waiting ? new Map([...Array(count).keys()].filter((i) => !isDone.has(i)).map((i) => [i, el("img", { class: "preview", alt: "", hidden: true })])) : new Map();
    this.bar = waiting ? el("div", { class: "progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, el("i")) : null;
    const cells = waiting ? [...Array(count).keys()] : images.map((image) => image.index);
    this.frame.replaceChildren(...cells.map((i) => (this.previews.has(i) ? el("div", { class: "blank" }, this.previews.get(i))
      : picture(job, images.find((image) => image.index === i), () => this.act("view", i)))), ...(waiting ? [this.bar] : []));
  }

  #drawVerbs(job) {
    const focused = this.verbs.contains(document.activeElement);
    this.verbs.replaceChildren(...verbs(job, this.act).map((row) => el("div", { class: "buttons" }, row)));
    if (focused) this.verbs.querySelector("button")?.focus();
  }

  #progress(job) {
    if (!this.bar) return;
    const live = job.live ?? {};
    const percent = live.percent ?? 0;
    this.bar.firstChild.style.transform = `scaleX(${percent / 100})`;
    this.bar.classList.toggle("unknown", job.status === "running" && live.stage !== "drawing");
    this.bar.setAttribute("aria-valuenow", String(percent));
    for (const [i, preview] of this.previews) {
      const url = live.previews?.[i];
      if (url && preview.getAttribute("src") !== url) preview.src = url;
      if (url) preview.hidden = false;
      preview.style.setProperty("--blur", `${Math.max(0, 14 - percent / 7)}px`);
    }
  }
}
