// Where a sentence is typed: flags complete, unknown words are marked, the price stands below.

import { get } from "./api.js";
import { $, button, el, rich } from "./dom.js";

const COMMANDS = [
  ["/imagine ", "draw a picture"], ["/limner quota", "units used and left"], ["/limner queue", "what waits"],
  ["/limner history", "your last pictures"], ["/limner show ", "one job, by its id"], ["/limner cancel", "stop the last job, or one by its id"],
  ["/limner reroll ", "the same again with a new seed"],
  ["/limner compare ", "one prompt, drawn by every model here"], ["/limner models", "what can draw"],
  ["/limner settings ", "your own defaults, as flags, or reset"], ["/limner help", "everything you can type"],
];
const FLAGS = [
  ["--ar ", "shape, width to height", "1:1 3:2 2:3 4:3 3:4 16:9 9:16 21:9".split(" ")],
  ["--seed ", "the same seed draws the same picture"],
  ["--no ", "what should not be there"],
  ["--n ", "how many pictures", ["1", "2", "3", "4"]],
  ["--quality ", "full is 2048 px, a draft is half the price", ["full", "draft"]],
  ["--steps ", "more steps, finer detail"],
  ["--guidance ", "how closely it follows the words"],
  ["--scheduler ", "how noise is taken away", ["ddim", "euler", "euler_a", "dpmpp_2m"]],
  ["--model ", "which model draws", []],
  ["--private", "only you see it"],
];
const PROMPTS = [
  "A person standing on road wearing jacket with Mountain in background and its raining",
  "a red car on a mountain road at sunset", "a boat on a lake at night", "a cat in a snowy forest",
  "a person in a yellow jacket walking through a city in the rain", "a house in a meadow, foggy morning",
  "a blue cube on top of a green cylinder", "a dog on the beach, the sea behind, clear day --ar 16:9",
];

// What can complete the text that ends at the caret: [from, [[insert, note], …]].
export function completions(text, models) {
  const command = /^\/\S*(?: \S*)?$/.exec(text);
  if (command) return [0, COMMANDS.filter(([name]) => name.startsWith(text) && name.trim() !== text.trim())];
  const value = /(?:--|—)(ar|n|quality|scheduler|model) +(\S*)$/.exec(text) ?? /\s-(n) +(\S*)$/.exec(text);
  if (value) {
    const values = value[1] === "model" ? models : FLAGS.find(([flag]) => flag.trim() === `--${value[1]}`)[2];
    return [text.length - value[2].length, values.filter((each) => each.startsWith(value[2]) && each !== value[2]).map((each) => [`${each} `, ""])];
  }
  const flag = /(?:^|\s)((?:--?|—)[a-z]*)$/.exec(text);
  if (!flag) return [0, []];
  const typed = `--${flag[1].replace(/^(--?|—)/, "")}`;
  const found = FLAGS.filter(([name]) => name.startsWith(typed) && name.trim() !== typed && !text.includes(` ${name.trim()} `));
  return [text.length - flag[1].length, found.map(([name, note]) => [name, note])];
}

export class Composer {
  models = [];
  #items = [];
  #active = -1;
  #checks = 0;

  constructor(submit) {
    this.input = $("prompt");
    this.list = $("choices");
    this.submit = submit;
    this.input.addEventListener("input", () => this.#changed());
    this.input.addEventListener("click", () => this.#complete());
    this.input.addEventListener("blur", () => this.#close());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("scroll", () => { $("mirror").scrollTop = this.input.scrollTop; });
    $("composer").addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    $("chips").append(...PROMPTS.map((prompt) => button(prompt, () => this.set(prompt), "chip")));
    this.#changed();
  }

  set(text) {
    this.input.value = text;
    this.input.focus();
    this.#changed();
  }

  async #send() {
    const text = this.input.value;
    this.#close();
    $("draw").disabled = true;
    if (!this.plan) await this.check();
    const accepted = await this.submit(text, this.plan);
    $("draw").disabled = false;
    if (accepted && this.input.value === text) this.set("");
  }

  #changed() {
    $("chips").classList.toggle("away", this.input.value !== "");
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
    this.#mark([]);
    this.#complete();
    this.plan = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), 160);
  }

  async check() {
    const check = ++this.#checks;
    const text = this.input.value;
    try {
      const plan = await get(`/api/words?text=${encodeURIComponent(text)}`);
      if (check !== this.#checks || text !== this.input.value) return;
      this.plan = plan;
      this.#mark(plan.unknown);
      this.#hint(text.trim() ? plan : null);
    } catch { /* the page works without hints */ }
  }

  setEngine(waits) {
    this.waits = waits;
    this.check();
  }

  #hint(plan) {
    if (!plan) return $("hint").replaceChildren(this.waits || "Type -- for options, / for commands");
    const parts = [el("span", {}, plan.problem ? (this.list.hidden ? rich(plan.problem.title) : "") : plan.line)];
    if (plan.unknown.length) parts.unshift(el("span", { class: "unknown-words" }, plan.unknown_line));
    return $("hint").replaceChildren(...parts);
  }

  #mark(unknown) {
    const text = this.input.value;
    if (!unknown.length) return $("mirror").replaceChildren(text, "\u200b");
    const words = unknown.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
    const parts = text.split(new RegExp(`(?<![\\p{L}\\p{N}])(${words})(?![\\p{L}\\p{N}])`, "giu"));
    return $("mirror").replaceChildren(...parts.map((part, i) => (i % 2 ? el("mark", {}, part) : part)), "\u200b");
  }

  #complete() {
    const caret = this.input.selectionStart;
    const [from, items] = caret === this.input.value.length ? completions(this.input.value, this.models) : [0, []];
    this.from = from;
    this.#items = items.slice(0, 10);
    this.list.replaceChildren(...this.#items.map(([text, note], i) => el("li", { role: "option", id: `choice-${i}`,
      onpointerdown: (event) => { event.preventDefault(); this.#accept(i); } }, el("b", {}, text.trim()), el("span", {}, note))));
    this.list.hidden = !this.#items.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.#point(this.#items.length ? 0 : -1);
  }

  #point(to) {
    this.#active = to;
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === to)));
    if (to >= 0) this.input.setAttribute("aria-activedescendant", `choice-${to}`);
    else this.input.removeAttribute("aria-activedescendant");
    this.list.children[to]?.scrollIntoView({ block: "nearest" });
  }

  #accept(i) {
    this.set(this.input.value.slice(0, this.from) + this.#items[i][0]);
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.#point(-1);
  }

  #key(event) {
    if (event.isComposing) return;
    const isOpen = !this.list.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (isOpen && step) this.#point((this.#active + step + this.#items.length) % this.#items.length);
    else if (isOpen && event.key === "Escape") this.#close();
    else if (isOpen && (event.key === "Tab" || event.key === "Enter") && !event.shiftKey) this.#accept(this.#active);
    else if (event.key === "Enter" && !event.shiftKey) this.#send();
    else return;
    event.preventDefault();
  }
}
