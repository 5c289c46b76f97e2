// What gets quicker with a little script; every page works without it.
"use strict";
for (const button of document.querySelectorAll("[data-copy]")) {
  const code = button.parentElement.querySelector("code");
  if (!navigator.clipboard || !code) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  });
}

// A page that says so fetches itself again now and then, and takes the marked part over.
const live = document.getElementById("live");
const every = Number(document.querySelector("main")?.dataset.every || 0);
if (live && every > 0) {
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = fresh.getElementById("live");
      if (!part) return;
      if (part.innerHTML !== live.innerHTML) live.innerHTML = part.innerHTML;
      // What is over need not be asked for again.
      if (!fresh.querySelector("main")?.dataset.every) location.reload();
    } catch {
      // The box may be restarting: the next look tells.
    }
  };
  setInterval(look, every * 1000);
}

// Webmail: keys, dragging to folders, new mail without a reload.
const mail = document.querySelector("[data-mail]");
if (mail) {
  const list = document.querySelector(".list");
  const rows = () => [...document.querySelectorAll(".row-mail")];
  let here = -1;
  const go = (to) => {
    const all = rows();
    if (!all.length) return;
    all[here]?.classList.remove("here");
    here = Math.max(0, Math.min(all.length - 1, to));
    all[here].classList.add("here");
    all[here].querySelector("a").focus();
  };
  const order = (value) => {
    const button = list?.querySelector(`button[value="${value}"]`);
    if (!button) return;
    if (!list.querySelector("[name=id]:checked") && here >= 0) rows()[here].querySelector("[name=id]").checked = true;
    if (list.querySelector("[name=id]:checked")) button.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (event.key === "j") go(here + 1);
    else if (event.key === "k") go(here - 1);
    else if (event.key === "x" && here >= 0) rows()[here].querySelector("[name=id]").click();
    else if (event.key === "e" && list) order("delete");
    else if (event.key === "?") document.querySelector(".help")?.toggleAttribute("open");
    else if (target) target.matches("input") ? target.focus() : target.click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("dragstart", (event) => {
    const row = event.target.closest?.(".row-mail");
    if (row) event.dataTransfer.setData("text/plain", row.dataset.id);
  });
  for (const folder of document.querySelectorAll("[data-folder]")) {
    folder.addEventListener("dragover", (event) => { event.preventDefault(); folder.classList.add("over"); });
    folder.addEventListener("dragleave", () => folder.classList.remove("over"));
    folder.addEventListener("drop", (event) => {
      event.preventDefault();
      const box = list?.querySelector(`[name=id][value="${CSS.escape(event.dataTransfer.getData("text/plain"))}"]`);
      if (!box) return;
      box.checked = true;
      list.querySelector("[name=to]").value = folder.dataset.folder;
      order("move");
    });
  }
  const title = document.title;
  let unseen = Number(mail.dataset.unseen || 0);
  const count = () => { document.title = unseen > 0 ? `(${unseen}) ${title}` : title; };
  count();
  // A list's rows and the folders' numbers, from a page that was fetched.
  const takeOver = async (address) => {
    const answer = await fetch(address);
    if (!answer.ok) return null;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of [".rows", ".folders"]) {
      const [old, made] = [document.querySelector(part), fresh.querySelector(part)];
      if (old && made) old.innerHTML = made.innerHTML;
    }
    const [list, empty] = [document.querySelector("form.list"), fresh.querySelector(".empty")];
    document.querySelector(".empty")?.remove();
    if (list && empty) list.append(empty);
    return fresh;
  };
  const events = new EventSource("/mail/events");
  events.addEventListener("mail", async (event) => {
    const before = unseen;
    unseen = Number(event.data);
    count();
    const isBusy = !list || list.querySelector("[name=id]:checked") || document.activeElement?.closest(".rows");
    const fresh = isBusy ? null : await takeOver(location.href);
    if (unseen > before && mail.dataset.notify && !document.hasFocus() && window.Notification?.permission === "granted") {
      const row = (fresh ?? document).querySelector(".row-mail.unread");
      const text = row ? `${row.querySelector(".party").textContent.trim()}: ${row.querySelector(".subject").textContent}` : "";
      new Notification(mail.dataset.notify, { body: text, tag: "pillarbox" }).onclick = () => window.focus();
    }
  });
  addEventListener("pagehide", () => events.close());

  // Searching while one types.
  const search = document.querySelector(".find input[name=q]");
  let typing = 0;
  search?.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const address = new URL(search.form.action);
      address.search = search.value ? new URLSearchParams({ q: search.value }) : "";
      history.replaceState(null, "", address);
      await takeOver(address);
    }, 250);
  });
}

const printer = document.querySelector("[data-print]");
if (printer) {
  printer.hidden = false;
  printer.addEventListener("click", () => window.print());
}

// Whether new mail may be shown outside the window is the browser's question; it is asked when somebody wants it.
const notify = document.querySelector("[data-asks-to-notify]");
notify?.addEventListener("change", async () => {
  if (!notify.checked) return;
  const may = window.Notification ? await Notification.requestPermission() : "denied";
  notify.checked = may === "granted";
  document.querySelector("[data-notify-refused]").hidden = notify.checked;
});

// Writing: what was typed is kept as a draft now and then (files are not: they go when the letter goes).
const letter = document.querySelector(".compose");
if (letter) {
  const status = letter.querySelector("[data-autosave]");
  const area = letter.querySelector("textarea[name=body]");
  const files = letter.querySelector("input[type=file]");

  // Formatted text: an editor in place of the field, whose HTML goes along.
  const formats = letter.querySelector(".formats");
  const toggle = letter.querySelector("[data-rich]");
  const editor = document.createElement("div");
  Object.assign(editor, { className: "editor", contentEditable: "true", hidden: true });
  editor.setAttribute("role", "textbox");
  editor.setAttribute("aria-multiline", "true");
  editor.setAttribute("aria-label", area.parentElement.firstChild.textContent.trim());
  area.parentElement.after(editor);
  const html = Object.assign(document.createElement("input"), { type: "hidden", name: "html" });
  // Texts go in front of the files: the letter is begun when the first file comes in.
  // Behind the token, which has to be the first field.
  letter.querySelector("[name=token]").after(html);
  const isRich = () => !editor.hidden;
  const setRich = (rich) => {
    editor.hidden = formats.hidden = !rich;
    area.parentElement.hidden = rich;
    toggle.textContent = rich ? toggle.dataset.plain : toggle.dataset.rich;
  };
  const lines = (text) => text.split("\n").map((line) => {
    const div = document.createElement("div");
    if (line) div.textContent = line; else div.append(document.createElement("br"));
    return div;
  });
  toggle.hidden = false;
  setRich(false);
  toggle.addEventListener("click", () => {
    if (isRich()) area.value = editor.innerText;
    else editor.replaceChildren(...lines(area.value));
    setRich(!isRich());
    (isRich() ? editor : area).focus();
  });
  if (formats.dataset.html) {
    editor.innerHTML = formats.dataset.html;
    setRich(true);
  }
  for (const button of formats.querySelectorAll("[data-format]")) {
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      const value = button.dataset.ask ? window.prompt(button.dataset.ask, "https://") : null;
      if (button.dataset.ask && !value) return;
      document.execCommand(button.dataset.format, false, value);
      editor.focus();
    });
  }
  const takeIn = () => {
    html.value = isRich() ? editor.innerHTML : "";
    if (isRich()) area.value = editor.innerText;
  };

  // The signature follows the address one writes from.
  const from = letter.querySelector("select[name=from]");
  let signature = from?.selectedOptions[0]?.dataset.signature ?? "";
  from?.addEventListener("change", () => {
    const next = from.selectedOptions[0].dataset.signature;
    const [old, made] = [signature, next].map((text) => text && `\n\n-- \n${text}\n`);
    if (old && area.value.includes(old)) area.value = area.value.replace(old, () => made);
    else if (!old && made) area.value = made + area.value;
    signature = next;
  });

  // Files: chosen, dropped or pasted, with their sizes; what is too much is said before it is sent.
  const chosen = letter.querySelector(".chosen");
  const trouble = letter.querySelector("[data-trouble]");
  const complain = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  const all = [];
  const size = (octets) => octets < 1e6 ? `${Math.ceil(octets / 1e3)} KB` : `${(octets / 1e6).toFixed(1)} MB`;
  const show = () => {
    const bag = new DataTransfer();
    all.forEach((file) => bag.items.add(file));
    files.files = bag.files;
    chosen.replaceChildren(...all.map((file, at) => {
      const item = document.createElement("li");
      const [name, remove] = [document.createElement("span"), document.createElement("button")];
      name.textContent = `${file.name} · ${size(file.size)}`;
      Object.assign(remove, { type: "button", className: "quiet", textContent: chosen.dataset.remove });
      remove.addEventListener("click", () => { all.splice(at, 1); show(); });
      item.append(name, remove);
      return item;
    }));
    const sum = all.reduce((sum, file) => sum + file.size, 0);
    complain(sum > Number(letter.dataset.limit) ? letter.dataset.tooLarge : "");
  };
  const add = (list) => { all.push(...list); show(); };
  files.addEventListener("change", () => add(files.files));
  letter.querySelector("[data-drop]").hidden = false;
  document.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });

  // Drafts.
  const text = () => {
    takeIn();
    return [...new FormData(letter)].filter(([name]) => name !== "file" && name !== "draft").map(([, value]) => value).join("\n");
  };
  let kept = text();
  let isSending = false;
  setInterval(async () => {
    if (isSending || text() === kept) return;
    const now = text();
    const form = new FormData(letter);
    form.delete("file");
    form.set("order", "autosave");
    try {
      const answer = await fetch("/compose", { method: "POST", body: form });
      if (!answer.ok || isSending) return;
      letter.querySelector("[name=draft]").value = await answer.text();
      kept = now;
      status.textContent = status.dataset.autosave;
    } catch {
      // The box may be restarting: the next time keeps it.
    }
  }, 15000);

  // Sending: with files, how far it is; what the box has against it is said here, and nothing chosen is lost.
  letter.addEventListener("submit", (event) => {
    takeIn();
    if (!trouble.hidden && all.length) {
      event.preventDefault();
      return;
    }
    isSending = true;
    if (!all.length) return;
    event.preventDefault();
    const form = new FormData(letter, event.submitter);
    const bar = letter.querySelector(".sending");
    bar.hidden = false;
    const request = new XMLHttpRequest();
    const failed = (text) => { bar.hidden = true; isSending = false; complain(text); };
    request.upload.addEventListener("progress", (step) => {
      const percent = Math.floor(step.loaded * 100 / step.total);
      bar.querySelector("progress").value = percent;
      bar.querySelector("span").textContent = `${percent} %`;
    });
    request.addEventListener("load", () => {
      if (request.status < 400) return location.assign(request.responseURL);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const anyway = page.querySelector(".compose button[value=anyway]");
      failed((anyway?.previousElementSibling ?? page.querySelector("main > .note, main p"))?.textContent ?? letter.dataset.broken);
    });
    request.addEventListener("error", () => failed(letter.dataset.broken));
    request.open("POST", "/compose");
    request.send(form);
  });
}
