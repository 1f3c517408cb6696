// Requests to the bot, and the stream of what happens there.

export class Refusal extends Error {
  constructor(sentence) {
    super(sentence.title);
    this.sentence = sentence;
  }
}

const lost = { code: "offline", title: "Limner does not answer", body: "It may be restarting. Nothing was charged; try again in a moment.", actions: [] };
const gestureKey = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function read(path, options, tries = 1) {
  try {
    const response = await fetch(path, options);
    const answer = await response.json();
    if (!response.ok) throw new Refusal(answer.error);
    return answer;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (tries <= 1) throw new Refusal(lost);
    await pause(700);
    return read(path, options, tries - 1);
  }
}

export const get = (path) => read(path, {}, 2);

// One gesture has one key, so a request that is sent again is the same job.
export const post = (path, body = {}) => read(path, {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": gestureKey() },
  body: JSON.stringify(body),
}, 4);

const SILENCE_MS = 40_000;

export function listen(handlers, onConnection) {
  let source;
  let silence;
  function heard() {
    clearTimeout(silence);
    silence = setTimeout(open, SILENCE_MS);
  }
  function open() {
    source?.close();
    source = new EventSource("/api/events");
    heard();
    source.onopen = () => onConnection(true);
    source.onerror = () => {
      onConnection(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 1500);
    };
    source.addEventListener("beat", heard);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => { heard(); handle(JSON.parse(event.data)); });
    }
  }
  // A browser has few connections for one host: a page that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    clearTimeout(silence);
    return source.close();
  });
  open();
}
