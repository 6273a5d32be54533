// Live boards, the drop zone and questions before what cannot be undone. Every page works without it.
"use strict";

// A part of the page that the server draws anew when something happened: data-live="events URL", data-part="HTML URL".
for (const part of document.querySelectorAll("[data-live]")) {
  const light = document.querySelector(".live");
  let waiting = null;
  const rows = () => new Map([...part.querySelectorAll("tr[data-key]")].map((row) => [row.dataset.key, row.dataset.value]));
  const refresh = async () => {
    const before = rows();
    const answer = await fetch(part.dataset.part, { headers: { Accept: "text/html" } }).catch(() => null);
    waiting = null;
    if (!answer || !answer.ok) return later(5000);
    part.innerHTML = await answer.text();
    for (const row of part.querySelectorAll("tr[data-key]")) {
      if (before.size && before.get(row.dataset.key) !== row.dataset.value) row.classList.add("changed");
    }
  };
  const later = (least) => { waiting ??= setTimeout(refresh, least + 800 * Math.random()); }; // not all viewers at once
  const source = new EventSource(part.dataset.live); // a lost connection is taken up again, with what was missed
  const status = (on, words) => { if (light) { light.classList.toggle("on", on); light.textContent = words; } };
  source.onopen = () => status(true, "live");
  source.onerror = () => status(false, "connection lost, trying again");
  for (const kind of (part.dataset.kinds || "board").split(" ")) {
    source.addEventListener(kind, () => later(200)); // many events, one drawing
  }
}

// The drop zone: asked first, then sent, then handed in; what the host refuses is said before a byte is sent.
for (const form of document.querySelectorAll("form.drop")) {
  const input = form.querySelector("input[type=file]"), bar = form.querySelector("progress"), told = form.querySelector("[role=status]");
  const named = form.querySelector("[data-name]"), note = form.querySelector("#message"), button = form.querySelector("button");
  const say = (words, bad) => { told.textContent = words; told.className = bad ? "bad" : ""; };
  const show = () => say(input.files.length ? `${input.files[0].name}, ${(input.files[0].size / 1e6).toFixed(1)} MB` : "", false);
  const post = async (address, content) => {
    const answer = await fetch(address, {
      method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": form.dataset.csrf }, body: JSON.stringify(content),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.message);
    return found;
  };
  const send = (address, file) => new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (e) => { if (e.lengthComputable) { bar.max = e.total; bar.value = e.loaded; } };
    request.onload = () => (request.status < 300 ? done() : fail(new Error(JSON.parse(request.responseText).message)));
    request.onerror = () => fail(new Error("the connection broke: try again"));
    request.open("PUT", address);
    request.send(file);
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; show(); }
  });
  input.addEventListener("change", show);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = input.files[0], name = named ? { name: named.value } : {};
    button.disabled = true;
    try {
      const place = await post(form.dataset.uploads, { ...name, file_name: file.name, size: file.size });
      bar.hidden = false;
      await send(new URL(place.url).pathname, file);
      const made = await post(form.dataset.submissions, { ...name, token: place.token, message: note ? note.value : "" });
      say(`submission ${made.id} is handed in; its score appears below`, false);
      form.reset();
    } catch (error) {
      say(error.message, true);
    }
    bar.hidden = true;
    button.disabled = false;
  });
}

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.ask)) event.preventDefault(); });
}

for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = `${time.textContent.trim()} (${new Date(time.dateTime).toLocaleString()} where you are)`;
}
