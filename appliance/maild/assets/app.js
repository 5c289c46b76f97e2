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
