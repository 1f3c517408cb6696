// Elements, dialogs and times. What people or programs wrote only ever becomes text.

export const $ = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const button = (label, onclick, kind = "") => el("button", { type: "button", class: kind, onclick }, label);

export function announce(text) {
  $("announcer").textContent = text;
}

// The server's clock: countdowns stay right where this device's clock is wrong.
let offsetMs = 0;
export const setClock = (nowMs) => { offsetMs = nowMs - Date.now(); };
export const now = () => Date.now() + offsetMs;

function until(atMs, isPlan) {
  const seconds = Math.round((atMs - now()) / 1000);
  const ago = seconds <= 0;
  const size = Math.abs(seconds);
  if (ago && isPlan) return "in a moment";
  if (ago && size < 5) return "just now";
  const text = size < 90 ? `${size} s` : size < 5400 ? `${Math.round(size / 60)} min`
    : size < 129600 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} days`;
  return ago ? `${text} ago` : `in ${text}`;
}

const retime = (node) => { node.textContent = until(Number(node.dataset.at), "plan" in node.dataset); };
setInterval(() => document.querySelectorAll("time[data-at]").forEach(retime), 1000);

function time(atMs, isPlan) {
  const node = el("time", { "data-at": atMs, "data-plan": isPlan, title: new Date(atMs).toLocaleString() });
  retime(node);
  return node;
}

// A line of the server: <t:MS> stands for a moment, which in a plan is still to come; `x` for what can be typed.
export function rich(line, isPlan = false) {
  return line.split(/(<t:\d+>|`[^`]+`)/).map((part) => {
    if (/^<t:\d+>$/.test(part)) return time(Number(part.slice(3, -1)), isPlan);
    if (/^`[^`]+`$/.test(part)) return el("code", {}, part.slice(1, -1));
    return part;
  });
}

export function openDialog(title, ...content) {
  const dialog = $("dialog");
  dialog.replaceChildren(el("header", { class: "panel-head" }, el("h2", { id: "dialog-title" }, title),
    button("Close", () => dialog.close(), "ghost")), ...content);
  if (!dialog.open) dialog.showModal();
  return dialog;
}

export function confirmFirst(title, body, label, kind = "primary") {
  return new Promise((resolve) => {
    const answer = (yes) => { resolve(yes); dialog.close(); };
    const dialog = openDialog(title, el("p", {}, body), el("div", { class: "buttons end" },
      button("Not now", () => answer(false)), button(label, () => answer(true), kind)));
    dialog.querySelector(kind === "primary" ? ".primary" : ".end button").focus();
    dialog.addEventListener("close", () => resolve(false), { once: true });
  });
}

export function closeOnBackdrop(dialog) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

let openMenu = null;
export function menu(label, items) {
  const list = el("div", { class: "menu", role: "menu", hidden: true }, items.map(([text, act, kind]) =>
    el("button", { type: "button", role: "menuitem", tabindex: "-1", class: kind, onclick: () => { close(true); act(); } }, text)));
  const toggle = el("button", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false",
    onclick: () => (list.hidden ? open() : close(true)) }, label);
  const entries = [...list.children];
  function open() {
    openMenu?.();
    openMenu = close;
    list.hidden = false;
    list.classList.toggle("left", toggle.getBoundingClientRect().left + list.offsetWidth + 8 > innerWidth);
    list.classList.toggle("up", toggle.getBoundingClientRect().bottom + list.offsetHeight + 16 > innerHeight);
    toggle.setAttribute("aria-expanded", "true");
    entries[0].focus();
  }
  function close(refocus = false) {
    if (list.hidden) return;
    list.hidden = true;
    openMenu = null;
    toggle.setAttribute("aria-expanded", "false");
    if (refocus) toggle.focus();
  }
  list.addEventListener("keydown", (event) => {
    const at = entries.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") close(event.key === "Escape");
    if (event.key === "Escape") event.stopPropagation();
    if (to === undefined) return;
    event.preventDefault();
    entries.at(to % entries.length).focus();
  });
  return el("span", { class: "more" }, toggle, list);
}
document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".more")) openMenu?.(); });
