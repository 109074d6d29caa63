// SPDX-License-Identifier: GPL-2.0-or-later
// The chat page: conversations in the browser's storage, answers from /v1/chat/completions, Markdown as nodes.
"use strict";
const byId = id => document.getElementById(id);
const log = byId("log"), input = byId("input"), send = byId("send"), stop = byId("stop"), picker = byId("model"), dialog = byId("dialog");
const FIELDS = ["system", "temperature", "max_tokens", "seed"];
const CHAT = "marrow.chat.";  // and the id: the names in the browser's storage
let chat = null, running = null, models = [], editing = -1, renaming = "", deleted = null;

function el(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
const button = (text, label, onclick) => el("button", {type: "button", title: label, ariaLabel: label, onclick}, text);

// ---- what the browser keeps. A browser that keeps nothing still holds conversations until the page closes.
const memory = new Map();
function stored(where, name) {
  try { return where.getItem(name) ?? memory.get(name); } catch { return memory.get(name); }
}
function store(where, name, value) {
  try { where.setItem(name, value); memory.delete(name); }
  catch { memory.set(name, value); say("The browser stores nothing more: its storage is full or switched off. Save this conversation as a file, or delete others.", true); }
}
let local, session;
try { local = localStorage; session = sessionStorage; } catch { local = session = null; }
let key = stored(session, "marrow.key") || "";

const isText = value => typeof value === "string";
// Whatever another program or version wrote is taken only if it has the shape of a conversation.
function conversation(value, id) {
  if (!value || !Array.isArray(value.messages)) return null;
  const messages = value.messages.filter(m => m && isText(m.content) && (m.role === "user" || m.role === "assistant"))
    .map(m => ({role: m.role, content: m.content, ...isText(m.reasoning) && {reasoning: m.reasoning}, ...isText(m.note) && {note: m.note}, ...m.cut === true && {cut: true}}));
  const settings = {};
  for (const name of FIELDS) if (isText(value.settings?.[name])) settings[name] = value.settings[name];
  return {id, title: isText(value.title) ? value.title : "", time: Number(value.time) || Date.now(),
          model: isText(value.model) ? value.model : "", settings, messages};
}
function parsed(text, id) {
  try { return conversation(JSON.parse(text), id); } catch { return null; }
}
const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
function allChats() {
  const names = new Set(memory.keys());
  try { for (let i = 0; i < local.length; i++) names.add(local.key(i)); } catch { /* only memory */ }
  return [...names].filter(n => n.startsWith(CHAT)).map(n => parsed(stored(local, n), n.slice(CHAT.length))).filter(Boolean).sort((a, b) => b.time - a.time);
}
function save(which) {
  if (!which.messages.length) return;
  which.title ||= which.messages[0].content.trim().replace(/\s+/g, " ").slice(0, 60) || "Chat";
  store(local, CHAT + which.id, JSON.stringify(which));
}
function forget(which) {
  memory.delete(CHAT + which.id);
  try { local.removeItem(CHAT + which.id); } catch { /* only memory */ }
}

// ---- Markdown. Text becomes nodes, never HTML: what a model writes cannot run here, and nothing is loaded for it.
const INLINE = /(`{1,3})([^\n]{1,2000}?)\1(?!`)|\*\*(?=\S)([^\n]{1,2000}?)\*\*|\*(?=[^\s*])([^*\n]{1,2000})\*|\b_(?=[^\s_])([^_\n]{1,2000})_\b|~~(?=\S)([^\n]{1,2000}?)~~|!?\[([^[\]\n]{0,300})\]\(([^\s()<>]{1,2000})[^()\n]{0,200}\)|(https?:\/\/[^\s<>()"'\]]{1,2000})|\\([\\`*_{}[\]()#+\-.!~|>])/g;
function inline(parent, text, depth = 0) {
  let last = 0;
  const put = (tag, inner) => depth < 4 ? inline(parent.appendChild(el(tag)), inner, depth + 1) : parent.append(inner);
  for (const m of text.matchAll(INLINE)) {
    parent.append(text.slice(last, m.index));
    last = m.index + m[0].length;
    if (m[1]) parent.append(el("code", {}, m[2]));
    else if (m[3]) put("strong", m[3]);
    else if (m[4] || m[5]) put("em", m[4] || m[5]);
    else if (m[6]) put("del", m[6]);
    else if (m[8] || m[9]) link(parent, m[8] || m[9], m[7] || m[8] || m[9]);
    else parent.append(m[10]);
  }
  parent.append(text.slice(last));
}
function link(parent, address, text) {
  const url = URL.canParse?.(address) && new URL(address);
  const safe = url && ["http:", "https:", "mailto:"].includes(url.protocol);
  parent.append(safe ? el("a", {href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer"}, text) : text);
}
const FENCE = /^ {0,3}(`{3,}|~{3,}) *([\w+#.-]{0,30})/, HEAD = /^(#{1,6}) +(.*)/, RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^ {0,3}> ?/, ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(.*)/, DASHES = /^[ :|-]+$/;
const begins = line => FENCE.test(line) || HEAD.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
const indent = line => line.length - line.trimStart().length;
const cells = line => line.trim().replace(/^\||\|$/g, "").split("|").slice(0, 40).map(c => c.trim());

function markdown(target, text) {
  target.replaceChildren();
  blocks(target, text.replace(/\t/g, "    ").split("\n"), 0);
}
function blocks(parent, lines, depth) {
  const add = (tag, properties) => parent.appendChild(el(tag, properties));
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    let m;
    if (!line.trim()) i++;
    else if ((m = line.match(FENCE))) {
      const from = ++i;
      while (i < lines.length && !lines[i].trim().startsWith(m[1])) i++;
      codeBlock(parent, lines.slice(from, i++).join("\n"), m[2]);
    } else if ((m = line.match(HEAD))) { inline(add("h" + Math.min(6, m[1].length + 2)), m[2]); i++; }
    else if (RULE.test(line)) { add("hr"); i++; }
    else if (depth < 6 && QUOTE.test(line)) {
      const from = i;
      while (i < lines.length && QUOTE.test(lines[i])) i++;
      blocks(add("blockquote"), lines.slice(from, i).map(l => l.replace(QUOTE, "")), depth + 1);
    } else if (depth < 6 && ITEM.test(line)) i = list(parent, lines, i, depth);
    else if (line.includes("|") && DASHES.test(lines[i + 1] || "") && lines[i + 1].includes("-")) {
      const table = add("table");
      for (let head = true; i < lines.length && lines[i].includes("|"); i += head ? 2 : 1, head = false)
        table.append(el("tr", {}, ...cells(lines[i]).map(c => { const cell = el(head ? "th" : "td"); inline(cell, c); return cell; })));
    } else {
      const from = i++;
      while (i < lines.length && lines[i].trim() && !begins(lines[i])) i++;
      inline(add("p"), lines.slice(from, i).join("\n"));
    }
  }
}
function list(parent, lines, i, depth) {
  const first = lines[i].match(ITEM), base = first[1].length, ordered = /\d/.test(first[2]);
  const node = parent.appendChild(ordered ? el("ol", {start: parseInt(first[2], 10)}) : el("ul"));
  while (i < lines.length) {
    const m = lines[i].match(ITEM);
    if (!m || m[1].length < base || m[1].length > base + 1 || /\d/.test(m[2]) !== ordered) break;
    const body = [m[3]];
    for (i++; i < lines.length; i++) {
      const blank = !lines[i].trim(), deeper = indent(lines[i]) > base + 1;
      if (blank ? !(i + 1 < lines.length && indent(lines[i + 1]) > base + 1) : !deeper && (begins(lines[i]) || !lines[i - 1].trim())) break;
      body.push(lines[i].slice(Math.min(indent(lines[i]), base + m[2].length + 1)));
    }
    // Blank lines between two items do not end the list.
    let next = i;
    while (next < lines.length && !lines[next].trim()) next++;
    if (next < lines.length && ITEM.test(lines[next])) i = next;
    blocks(node.appendChild(el("li")), body, depth + 1);
  }
  return i;
}
function codeBlock(parent, text, language) {
  const copier = button("Copy", "Copy this code", () => copy(text, copier));
  parent.append(el("div", {className: "code"}, el("div", {}, el("span", {}, language), copier), el("pre", {tabIndex: 0}, el("code", {}, text))));
}
async function copy(text, pressed) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // without https a page has no clipboard, but may copy a selection
    const box = document.body.appendChild(el("textarea", {value: text}));
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    if (!done) return say("The browser did not allow copying: select the text and press Ctrl+C.", true);
  }
  const before = pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => pressed.textContent = before === "Copied" ? "Copy" : before, 1500);
}

// ---- what is shown
function say(text, bad, ...actions) {
  const status = byId("status");
  byId("rate").textContent = "";
  if (!bad && !actions.length && status.textContent === text) return;  // a screen reader reads every change
  status.className = bad ? "error" : "";
  status.setAttribute("role", bad ? "alert" : "status");
  status.replaceChildren(text, ...actions.flatMap(a => [" ", a]));
}
function show() {
  log.replaceChildren();
  chat.messages.forEach((message, i) => log.append(...turn(message, i)));
  if (!chat.messages.length) document.title = "Marrow";
  else document.title = chat.title + " – Marrow";
  log.scrollTop = log.scrollHeight;
}
function turn(message, i) {
  const user = message.role === "user", last = i === chat.messages.length - 1;
  const box = el("article", {className: "turn " + message.role, ariaLabel: user ? "You" : "The model"});
  if (editing === i) box.append(editor(message, i));
  else fill(box, message);
  const under = el("div", {className: "under"});
  const copier = button("Copy", "Copy this message", () => copy(message.content, copier));
  under.append(copier, button("Edit", user ? "Edit this message and ask again" : "Edit this answer", () => { if (!running) { editing = i; show(); } }));
  if (!user) under.append(button("Regenerate", "Ask for another answer", () => running || ask(chat, i)));
  if (!user && last && message.cut) under.append(button("Continue", "Let the model go on", () => running || ask(chat, i, true)));
  if (message.note) under.append(el("span", {}, message.note));
  return [box, under];
}
function fill(box, message) {
  if (message.role === "user") { box.textContent = message.content; return; }
  let thoughts = box.querySelector(":scope > details"), body = box.querySelector(":scope > div");
  if (!body) { box.replaceChildren(body = el("div")); thoughts = null; }
  if (message.reasoning) {
    if (!thoughts) box.prepend(thoughts = el("details", {}, el("summary", {}, "Thoughts"), el("p")));
    thoughts.lastChild.textContent = message.reasoning;
  }
  markdown(body, message.content);
}
function editor(message, i) {
  const user = message.role === "user", area = el("textarea", {value: message.content, rows: 4, ariaLabel: "The text of the message"});
  const done = text => {
    editing = -1;
    if (text !== null && user && text.trim()) {
      const before = chat.messages;
      chat.messages = [...before.slice(0, i), {role: "user", content: text}];
      return ask(chat, i + 1, false, before);
    }
    if (text !== null && !user) { message.content = text; save(chat); }
    show();
  };
  area.onkeydown = event => {
    if (event.key === "Escape") { event.stopPropagation(); done(null); }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && user) { event.preventDefault(); done(area.value); }
  };
  setTimeout(() => area.focus());
  return el("div", {}, area, el("div", {className: "row"}, button(user ? "Ask again" : "Save", user ? "Replace the message and ask again" : "Keep the changed answer", () => done(area.value)),
    button("Cancel", "Leave the message as it was", () => done(null))));
}
function showChats() {
  const wanted = byId("search").value.trim().toLowerCase();
  const hit = c => !wanted || c.title.toLowerCase().includes(wanted) || c.messages.some(m => m.content.toLowerCase().includes(wanted));
  const rows = allChats().filter(hit).map(c => {
    const row = el("li", {className: c.id === chat.id ? "current" : ""});
    if (renaming === c.id) {
      const name = el("input", {value: c.title, ariaLabel: "New name"});
      const done = keep => {
        if (renaming !== c.id) return;
        renaming = "";
        if (keep && name.value.trim()) { c.title = name.value.trim(); save(c); if (c.id === chat.id) { chat.title = c.title; show(); } }
        showChats();
      };
      name.onkeydown = event => { if (event.key === "Enter" || event.key === "Escape") { event.stopPropagation(); done(event.key === "Enter"); } };
      name.onblur = () => done(true);
      setTimeout(() => { name.focus(); name.select(); });
      row.append(name);
    } else {
      const opener = button(c.title, c.title, () => openChat(c));
      opener.className = "open";
      if (c.id === chat.id) opener.setAttribute("aria-current", "true");
      row.append(opener, button("✎", "Rename " + c.title, () => { renaming = c.id; showChats(); }), button("✕", "Delete " + c.title, () => remove(c)));
    }
    return row;
  });
  byId("chats").replaceChildren(...rows.length ? rows : [el("li", {}, wanted ? "Nothing found." : "No conversations yet.")]);
}
function menu(open) {
  document.body.classList.toggle("menu", open);
  byId("menu").setAttribute("aria-expanded", open);
}
function openChat(next) {
  running?.abort();
  chat = next;
  editing = -1;
  if (chat.model && [...picker.options].some(o => o.value === chat.model)) picker.value = chat.model;
  showContext();
  menu(false);
  say("");
  show();
  showChats();
  input.focus();
}
function newChat() {
  openChat({id: newId(), title: "", time: Date.now(), model: picker.value, settings: {...chat?.settings}, messages: []});
}
function remove(gone) {
  forget(gone);
  deleted = gone;
  if (gone.id === chat.id) newChat();
  showChats();
  say(`“${gone.title}” was deleted.`, false, button("Undo", "Bring it back", () => { save(deleted); openChat(deleted); }));
}
function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  el("a", {href: url, download: (chat.title || "chat").replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, 60) + name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
function asMarkdown(which) {
  const parts = [`# ${which.title}`];
  if (which.settings.system) parts.push("## System", which.settings.system);
  for (const m of which.messages) parts.push(m.role === "user" ? "## You" : "## " + (which.model || "The model"), m.content);
  return parts.join("\n\n") + "\n";
}
async function importFile(file) {
  const found = parsed(await file.text(), newId());
  if (!found || !found.messages.length) return say(`“${file.name}” is no conversation of this page: choose a file that was saved with “JSON”.`, true);
  save(found);
  openChat(found);
}

// ---- the server
const headers = () => ({"Content-Type": "application/json", ...key && {Authorization: "Bearer " + key}});
const keyButton = () => button("Enter a key", "Open the settings", () => { openSettings(); byId("key").focus(); });
function size(bytes) {
  return bytes >= 1e9 ? (bytes / 1e9).toFixed(1) + " GB" : bytes >= 1e6 ? Math.round(bytes / 1e6) + " MB" : bytes ? Math.ceil(bytes / 1e3) + " kB" : "";
}
async function health() {
  return (await fetch("/health", {cache: "no-store"})).json();
}
const loading = now => now.bytes_total ? `${now.stage}: ${Math.floor(100 * now.bytes_done / now.bytes_total)} %` +
  (now.eta_ms > 999 ? `, about ${Math.round(now.eta_ms / 1000)} s left` : "") : "";
async function listModels() {
  const answer = await fetch("/v1/models", {headers: headers()});
  if (!answer.ok) return fault(await refusal(answer));
  models = (await answer.json()).data || [];
  const before = picker.value || chat?.model, texts = models.map(m => [m.id, size(m.meta?.size), m.status === "loaded" ? "loaded" : ""].filter(Boolean).join(" · "));
  if (texts.join("\n") !== [...picker.options].map(o => o.textContent).join("\n"))  // an open list would close
    picker.replaceChildren(...models.map((m, i) => el("option", {value: m.id}, texts[i])));
  const pick = models.find(m => m.id === before) || models.find(m => m.status === "loaded") || models[0];
  if (pick) picker.value = pick.id;
  else { picker.append(el("option", {value: ""}, "no model")); say("The server has no model: put a GGUF file into the folder /models of a disk or stick of the machine.", true); }
  showContext();
}
const contextOf = id => models.find(m => m.id === id)?.meta?.n_ctx || 0;
function showContext() {
  const most = contextOf(picker.value);
  byId("context").textContent = most ? most + " tokens of context" : picker.value ? "is loaded by the first message" : "";
}
const fault = error => say(error.message, true, ...error.key ? [keyButton()] : []);
let failing = false;
async function connect() {
  try {
    const now = await health();
    if (failing) say("");
    failing = false;
    await listModels();
    if (now.bytes_total) { say("A model is loaded: " + loading(now)); setTimeout(connect, 1000); }
    else if (byId("status").textContent.startsWith("A model is loaded")) say("");
  } catch {
    failing = true;
    say("The server does not answer. Look whether the machine runs and `serve` was started; this page tries again by itself.", true);
    setTimeout(connect, 3000);
  }
}
const HINTS = {
  context_length_exceeded: " Start a new chat, or edit an earlier message to be shorter.",
  model_not_found: " Choose another one above.",
  admin_closed: " Choose a model that is loaded.",
  server_busy: " Try again in a moment.",
  rate_limit_exceeded: " Try again in a moment.",
  client_busy: " Wait until your other answers are complete.",
  out_of_memory: " Try a shorter conversation or a smaller model.",
};
async function refusal(answer) {
  let error = {};
  try { error = (await answer.json()).error || {}; } catch { /* not ours */ }
  if (answer.status === 401) return Object.assign(Error("The server wants an API key, and this one is missing or wrong."), {key: true});
  return Error((error.message || `The server answered with status ${answer.status}.`) + (HINTS[error.code] || ""));
}
function body(which, messages) {
  const {system, temperature, max_tokens, seed} = which.settings;
  const asked = {stream: true, stream_options: {include_usage: true}, timings_per_token: true, return_progress: true,
                 messages: messages.map(({role, content}) => ({role, content}))};
  if (system?.trim()) asked.messages.unshift({role: "system", content: system});
  if (which.model) asked.model = which.model;
  for (const [name, text] of Object.entries({temperature, max_tokens, seed})) if (text?.trim() && Number.isFinite(+text)) asked[name] = +text;
  return JSON.stringify(asked);
}
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const {value, done} = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: ?/, "");
      if (!part.startsWith(":") && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
// Tells what the server does until the first word comes: a model that is not loaded may take minutes.
function watch(name) {
  const timer = setInterval(async () => {
    try {
      const now = await health();
      if (timer === watch.timer && now.bytes_total) say(`${name || "The model"} is loaded: ${loading(now)}`);
    } catch { /* the request itself says what is wrong */ }
  }, 1000);
  watch.timer = timer;
  return () => { clearInterval(timer); if (watch.timer === timer) watch.timer = 0; };
}
function busy(control) {
  running = control;
  send.disabled = Boolean(control);
  stop.disabled = !control;
  log.ariaBusy = Boolean(control);
}
// Asks for message number `at` of the conversation; with `resume` the message that is there is continued.
// If nothing comes of it, the conversation is as it was before.
async function ask(which, at, resume = false, before = which.messages) {
  const message = resume ? {...which.messages[at], cut: false} : {role: "assistant", content: ""};
  const asked = which.messages.slice(0, resume ? at + 1 : at), written = () => message.content + (message.reasoning || ""), had = written();
  which.model = picker.value;
  which.messages = [...which.messages.slice(0, at), message];
  which.time = Date.now();
  const control = new AbortController();
  busy(control);
  show();
  showChats();
  say("Waiting for the server …");
  const box = log.querySelector(".turn:nth-last-child(2)"), unwatch = watch(which.model);
  let usage = null, timings = null, finish = "", frame = 0;
  const draw = () => {
    frame = 0;
    if (which !== chat) return;
    const follow = log.scrollTop + log.clientHeight > log.scrollHeight - 80;
    fill(box, message);
    if (follow) log.scrollTop = log.scrollHeight;
  };
  try {
    const answer = await fetch("/v1/chat/completions", {method: "POST", headers: headers(), signal: control.signal, body: body(which, asked)});
    if (!answer.ok) throw await refusal(answer);
    for await (const chunk of events(answer)) {
      if (chunk.error) throw Error(chunk.error.message + (HINTS[chunk.error.code] || ""));
      usage = chunk.usage || usage;
      timings = chunk.timings || timings;
      const progress = chunk.prompt_progress, choice = chunk.choices?.[0], delta = choice?.delta;
      finish = choice?.finish_reason || finish;
      if (progress) say(`Reading: ${progress.processed} of ${progress.total} tokens`);
      if (!delta?.content && !delta?.reasoning_content) continue;
      unwatch();
      message.content += delta.content || "";
      if (delta.reasoning_content) message.reasoning = (message.reasoning || "") + delta.reasoning_content;
      say(delta.content ? "Answering …" : "Thinking …");
      if (timings?.predicted_per_second) byId("rate").textContent = timings.predicted_per_second + " tokens/s";
      frame ||= requestAnimationFrame(draw);
    }
    say("The answer is complete.");
  } catch (error) {
    finish = error.name === "AbortError" ? "stopped" : "failed";
    if (finish === "failed") fault(error instanceof TypeError ? Error("The connection to the server was lost. Look whether the machine runs, then send again.") : error);
    else if (which === chat) say("Stopped.");
  }
  unwatch();
  cancelAnimationFrame(frame);
  if (!contextOf(which.model)) await listModels().catch(() => {});
  if (written() === had) restore(which, before);
  else {
    message.cut = finish !== "stop";
    message.note = [usage && `${usage.completion_tokens} tokens, ${usage.total_tokens} of ${contextOf(which.model)} in context`, timings?.predicted_per_second && timings.predicted_per_second + " tokens/s",
      {length: "cut: the limit of tokens was reached", stopped: "stopped", failed: "not complete"}[finish]].filter(Boolean).join(" · ");
  }
  save(which);
  if (running === control) busy(null);
  if (which === chat) { show(); input.focus(); }
  showChats();
  listModels().catch(() => failing || connect());
}
// A message that was not answered goes back where it was written, if that place is still shown.
function restore(which, before) {
  const unanswered = before.at(-1);
  which.messages = before;
  if (which !== chat || unanswered?.role !== "user") return;
  which.messages = before.slice(0, -1);
  input.value = input.value ? unanswered.content + "\n" + input.value : unanswered.content;
  if (which.messages.length) return;
  forget(which);
  which.title = "";
}

// ---- keys and buttons
byId("ask").onsubmit = event => {
  event.preventDefault();
  const text = input.value.trim();
  if (!text || running) return;
  input.value = "";
  chat.messages.push({role: "user", content: text});
  ask(chat, chat.messages.length);
};
input.onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); byId("ask").requestSubmit(); }
  const last = chat.messages.findLastIndex(m => m.role === "user");
  if (event.key === "ArrowUp" && !input.value && last >= 0 && !running) { event.preventDefault(); editing = last; show(); }
};
document.onkeydown = event => {
  if (event.key !== "Escape" || dialog.open) return;
  if (document.body.classList.contains("menu")) menu(false); else running?.abort();
};
const refuse = event => {
  const files = event.clipboardData?.files || event.dataTransfer?.files;
  if (!files?.length) return;
  event.preventDefault();
  say("Files cannot be attached: the models of this server read text only. Open the file and paste its text.", true);
};
document.onpaste = document.ondrop = refuse;
document.ondragover = event => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); };
stop.onclick = () => running?.abort();
byId("new").onclick = newChat;
byId("menu").onclick = () => menu(!document.body.classList.contains("menu"));
byId("search").oninput = showChats;
function openSettings() {
  for (const name of FIELDS) byId(name).value = chat.settings[name] || "";
  byId("key").value = key;
  dialog.showModal();
}
byId("settings").onclick = openSettings;
byId("close").onclick = () => FIELDS.every(name => byId(name).reportValidity()) && dialog.close();
for (const name of FIELDS) byId(name).onchange = event => {
  if (!event.target.reportValidity()) return;  // "Done" waits until it is right
  chat.settings[name] = event.target.value;
  save(chat);
};
byId("key").onchange = event => {
  key = event.target.value.trim();
  store(session, "marrow.key", key);
  say("");
  connect();
};
function paint(theme) {
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
}
byId("theme").onchange = event => { store(local, "marrow.theme", event.target.value); paint(event.target.value); };
picker.onchange = () => { chat.model = picker.value; save(chat); showContext(); };
picker.onfocus = () => running || listModels().catch(() => {});
byId("json-file").onclick = () => download(".json", "application/json", JSON.stringify(chat, null, 1));
byId("markdown-file").onclick = () => download(".md", "text/markdown", asMarkdown(chat));
byId("import").onclick = () => byId("file").click();
byId("file").onchange = event => { if (event.target.files[0]) importFile(event.target.files[0]); event.target.value = ""; };
addEventListener("pagehide", () => running && save(chat));
// Another tab may change the conversation that is shown here.
addEventListener("storage", event => {
  const changed = event.key === CHAT + chat.id && !running && editing < 0 && parsed(event.newValue, chat.id);
  if (changed) { chat = changed; show(); }
  showChats();
});
byId("theme").value = stored(local, "marrow.theme") || "";
paint(byId("theme").value);
newChat();
connect();
