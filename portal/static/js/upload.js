// A file can be dropped on the form, and its sending is seen. Without this the form sends itself.

for (const form of document.querySelectorAll("form[data-upload]")) {
  const input = form.querySelector("input[type=file]");
  const status = form.querySelector("[data-status]");
  const button = form.querySelector("button[type=submit]");

  for (const name of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.focus();
      }
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    const bar = document.createElement("progress");
    bar.max = 100;
    status.replaceChildren(bar, document.createElement("span"));
    button.disabled = true;
    request.upload.addEventListener("progress", (sent) => {
      const percent = Math.floor((100 * sent.loaded) / sent.total);
      bar.value = percent;
      status.lastChild.textContent = form.dataset.sending.replace("{n}", percent);
    });
    request.addEventListener("load", () => {
      if (request.responseURL !== new URL(form.action, location.href).href) {
        location.assign(request.responseURL);
        return;
      }
      document.getElementById("main").replaceWith(request.response.getElementById("main"));
      document.querySelector("[role=alert]")?.scrollIntoView();
    });
    request.addEventListener("error", () => {
      button.disabled = false;
      status.textContent = form.dataset.failed;
    });
    request.open("POST", form.action);
    request.responseType = "document";
    request.setRequestHeader("Accept", "text/html");
    request.send(new FormData(form));
  });
}
