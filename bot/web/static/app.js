// The page: what is known of the jobs, where each is shown, and what pressing does.

import { get, listen, post, Refusal } from "./api.js";
import { Card, isWaiting, shown } from "./card.js";
import { Composer } from "./composer.js";
import { $, announce, button, closeOnBackdrop, confirmFirst, el, openDialog, rich, setClock } from "./dom.js";
import { openRemix, openViewer, showInfo, showStrip } from "./dialogs.js";

const jobs = new Map();
const cards = new Map();
const threadCards = new Map();
const heard = new Map(); // job → the number of its last event
let events = 0;
let thread = null; // the root whose thread is open
let composer;

const clip = (text, length) => (text.length > length ? `${text.slice(0, length - 1).trimEnd()}…` : text);
const isGone = (job) => !isWaiting(job) && job.images.length > 0 && !shown(job).length;
const oldestFirst = (a, b) => a.created_ms - b.created_ms || a.order - b.order;
const family = (root) => [...jobs.values()].filter((job) => job.root === root).sort(oldestFirst);

function know(job) {
  const known = jobs.get(job.id);
  const pinned = known?.status !== job.status && isNearEnd();
  if (known?.status === job.status && job.live === null) job.live = known.live;
  job.order = known?.order ?? jobs.size;
  jobs.set(job.id, job);
  const root = job.root ?? job.id;
  if (root === job.id) place(cards, $("feed"), job, { act, thread: (it) => openThread(it.id) });
  else if (!jobs.has(root)) fetchThread(root);
  if (root === thread) place(threadCards, $("thread"), job, { act, thread: null });
  cards.get(root)?.setChildren(family(root).filter((each) => each.id !== root && !isGone(each)));
  if (pinned) toEnd();
  refresh();
}

// An answer may be overtaken by events: what was heard since it was asked for is newer.
async function ask(asking) {
  const since = events;
  const answer = await asking;
  answer.jobs?.filter((job) => (heard.get(job.id) ?? 0) <= since).forEach(know);
  return answer;
}

function hear(job) {
  heard.set(job.id, ++events);
  know(job);
}

function place(shelf, list, job, options) {
  const card = shelf.get(job.id);
  if (card) return card.update(job);
  const fresh = new Card(job, options);
  shelf.set(job.id, fresh);
  const next = [...shelf.values()].filter((each) => oldestFirst(job, each.job) < 0).sort((a, b) => oldestFirst(a.job, b.job))[0];
  return list.insertBefore(fresh.node, next?.node ?? null);
}

let refreshing = 0;
function refresh() {
  if (refreshing) return;
  refreshing = requestAnimationFrame(() => { refreshing = 0; drawGallery(); drawEmpty(); });
}

function drawEmpty() {
  $("empty").hidden = jobs.size > 0;
  $("feed").setAttribute("aria-busy", "false");
}

function drawGallery() {
  const pictures = [...jobs.values()].sort((a, b) => oldestFirst(b, a)).flatMap((job) => shown(job).map((image) => ({ job, image }))).slice(0, 30);
  const key = pictures.map(({ image }) => image.url).join();
  if ($("gallery").dataset.key === key) return;
  $("gallery").dataset.key = key;
  $("gallery").replaceChildren(...pictures.map(({ job, image }) => el("button", { type: "button", class: "thumb", onclick: () => act(job, "view", image.index),
    "aria-label": `Open ${job.request.prompt}` }, el("img", { src: image.jpeg_url, alt: "", loading: "lazy", decoding: "async" }))));
  if (!pictures.length) $("gallery").replaceChildren(el("p", { class: "quiet" }, "Your pictures gather here."));
}

const isNearEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 240;
const toEnd = () => requestAnimationFrame(() => { $("scroll").scrollTop = $("scroll").scrollHeight; });

const fetching = new Set();
async function fetchThread(id) {
  if (fetching.has(id)) return;
  fetching.add(id);
  try {
    await ask(get(`/api/jobs?thread=${id}`));
  } catch (error) {
    complain(error);
  } finally {
    fetching.delete(id);
  }
}

const isNarrow = matchMedia("(max-width: 1099px)");

// On a narrow screen the side is a sheet over the page: what is under it cannot be reached meanwhile.
function showSide(isOpen) {
  document.body.classList.toggle("side-open", isOpen);
  $("main").inert = isOpen && isNarrow.matches;
}

async function openThread(root, focus = true) {
  if (thread !== root) {
    thread = root;
    threadCards.clear();
    $("thread").replaceChildren();
    family(root).forEach(know);
    fetchThread(root);
  }
  $("thread-title").replaceChildren(`${clip(jobs.get(root)?.request.prompt || "A scene", 48)} · `, el("code", {}, root));
  $("gallery-panel").hidden = true;
  $("thread-panel").hidden = false;
  showSide(true);
  if (location.hash !== `#${root}`) history.pushState(null, "", `#${root}`);
  if (focus) $("thread-title").focus({ preventScroll: true });
}

function closeSide() {
  const was = thread;
  thread = null;
  $("thread-panel").hidden = true;
  $("gallery-panel").hidden = false;
  showSide(false);
  if (location.hash) history.pushState(null, "", location.pathname);
  if (was) cards.get(was)?.node.focus({ preventScroll: true });
}

function followHash() {
  const root = location.hash.slice(1);
  if (jobs.has(root)) openThread(root, false);
  else if (thread) closeSide();
}

function toThreadEnd(id) {
  requestAnimationFrame(() => threadCards.get(id)?.node.scrollIntoView({ block: "end", behavior: "smooth" }));
}

const views = {
  view: (job, index) => openViewer(job, index, act),
  info: (job, index) => showInfo(job, index),
  how: (job, index) => showStrip(job, index),
  remix: (job, index) => openRemix(job, index, (text) => press(job, "remix", { index, text })),
  original: (job, index) => el("a", { href: `${job.images.find((each) => each.index === index).url}?download=1` }).click(),
};

async function act(job, verb, index, text = "") {
  if (views[verb] && !text) return views[verb](job, index);
  if (verb === "delete" && !(await confirmFirst("Delete this picture?", "Its file goes for good. The recipe stays, so it can be drawn again.", "Delete", "danger"))) return null;
  return press(job, verb, { index, text });
}

async function press(job, verb, body) {
  try {
    const answer = await ask(post(`/api/jobs/${job.id}/${verb}`, body));
    if (answer.answer) return tell(answer.answer);
    const child = answer.jobs.find((each) => each.root && each.root !== each.id);
    if (child && child.id !== job.id) {
      await openThread(child.root, false);
      toThreadEnd(child.id);
    }
    return true;
  } catch (error) {
    return complain(error, job);
  }
}

async function submit(text, plan) {
  if (plan?.jobs > 1 && !(await confirmFirst("Draw all of these?", `${plan.line}.`, `Draw ${plan.jobs}`))) return false;
  try {
    const answer = await ask(post("/api/commands", { text }));
    note(null);
    if (answer.answer) note(answer.answer);
    toEnd();
    return true;
  } catch (error) {
    return complain(error);
  }
}

// An action of a sentence: a press on the job it was about, a command that is typed, or back to the text.
function follow({ verb, command }, job) {
  note(null);
  if (job && verb && verb !== "edit") act(job, verb, 0, command);
  else if (command) submit(command, null);
  else $("prompt").focus();
}

function note(sentence, kind = "note", job = null) {
  $("feed").querySelectorAll(".note").forEach((node) => node.remove());
  if (!sentence) return;
  const actions = sentence.actions.map((action) => button(action.label, () => follow(action, job), "soft"));
  $("feed").append(el("div", { class: `note ${kind}`, role: "alert", tabindex: "-1" }, el("strong", {}, rich(sentence.title)),
    el("p", {}, rich(sentence.body ?? "")), (sentence.files ?? []).map(attached), el("div", { class: "buttons" }, actions, button("Dismiss", () => { note(null); $("prompt").focus(); }, "ghost"))));
  toEnd();
}

function attached({ name, data, url: address }) {
  const url = address ?? `data:${name.endsWith(".png") ? "image/png" : "text/csv"};base64,${data}`;
  return el("a", { href: url, download: name }, name.endsWith(".png") ? el("img", { src: url, alt: name, class: "plot" }) : name);
}

// In the feed, or in front of what covers it.
function tell(sentence, kind = "note", job = null) {
  if (!$("main").inert) note(sentence, kind, job);
  else openDialog(sentence.title.replaceAll("`", ""), el("p", {}, rich(sentence.body)));
  return true;
}

function complain(error, job) {
  if (!(error instanceof Refusal)) throw error;
  return !tell(error.sentence, "error", job);
}

function showQuota(quota) {
  const limit = quota.is_limited ? ` of ${quota.allowance} units today` : " units today";
  $("quota-text").replaceChildren(`${quota.used}${limit}`, quota.is_limited ? "" : el("small", {}, " · no limit for you"));
  $("quota").querySelector("i").style.transform = `scaleX(${quota.allowance ? Math.min(1, quota.used / quota.allowance) : 0})`;
  $("quota").onclick = () => openDialog("Units", el("p", { class: "quota-line" }, rich(quota.lines[0])),
    el("ul", { class: "charges" }, quota.lines.slice(1).map((line) => el("li", {}, rich(line)))));
}

function showEngine(engine) {
  composer.setEngine(engine.state === "ready" ? "" : "The engine is starting; what you send waits for it.");
}

function showConnection(isUp) {
  const line = $("connection");
  const wasLost = line.dataset.lost === "yes";
  if (isUp && !wasLost) return;
  line.dataset.lost = isUp ? "no" : "yes";
  line.textContent = isUp ? "Connected again" : "Connection lost. Trying again…";
  if (line.hidden || isUp) announce(line.textContent);
  line.hidden = false;
  if (isUp) setTimeout(() => { line.hidden = line.dataset.lost === "no"; }, 3000);
}

let settled = false;
function settle(state) {
  setClock(state.now_ms);
  showQuota(state.quota);
  showEngine(state.engine);
  state.jobs.reverse().forEach(know);
  refresh();
  if (settled) return;
  settled = true;
  toEnd();
  followHash();
}

function start() {
  composer = new Composer(submit);
  $("change").addEventListener("submit", async (event) => {
    event.preventDefault();
    const base = family(thread).filter((job) => shown(job).length).at(-1);
    if (base && await press(base, "remix", { index: shown(base)[0].index, text: $("change-text").value })) $("change-text").value = "";
  });
  $("show-side").addEventListener("click", () => { showSide(true); $("side").querySelector("[data-close]").focus(); });
  document.querySelectorAll("[data-close]").forEach((node) => node.addEventListener("click", closeSide));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("side-open") && !document.querySelector("dialog[open]")) closeSide();
  });
  addEventListener("popstate", followHash);
  isNarrow.addEventListener("change", () => showSide(document.body.classList.contains("side-open")));
  [$("dialog"), $("viewer")].forEach(closeOnBackdrop);
  get("/api/models").then((answer) => { composer.models = answer.models.map((model) => model.name); }).catch(() => {});
  listen({ state: settle, job: hear, quota: showQuota, engine: showEngine }, showConnection);
}

start();
