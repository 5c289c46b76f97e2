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
  const count = (unseen) => { document.title = unseen > 0 ? `(${unseen}) ${title}` : title; };
  count(Number(mail.dataset.unseen || 0));
  const events = new EventSource("/mail/events");
  events.addEventListener("mail", async (event) => {
    count(Number(event.data));
    if (!list || list.querySelector("[name=id]:checked") || document.activeElement?.closest(".rows")) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of [".rows", ".folders"]) {
      const [old, made] = [document.querySelector(part), fresh.querySelector(part)];
      if (old && made) old.innerHTML = made.innerHTML;
    }
  });
  addEventListener("pagehide", () => events.close());
}

// Writing: what was typed is kept as a draft now and then (files are not: they go when the letter goes).
const letter = document.querySelector(".compose");
if (letter) {
  const status = letter.querySelector("[data-autosave]");
  const text = () => [...new FormData(letter)].filter(([name]) => name !== "file" && name !== "draft").map(([, value]) => value).join("\n");
  let kept = text();
  let isSending = false;
  letter.addEventListener("submit", () => { isSending = true; });
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
}
