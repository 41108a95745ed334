// The preview of a tip-off: works on the proof that is asked just now, if any, while the reporter still reads. The form
// is sent when it is done. Without it the form can be sent too; at busy times it then has to wait a little.

// Where the browser has Trusted Types, this is the one policy that pages allow: a worker from this site.
const own = {
  createScriptURL(address) {
    if (new URL(address, location.href).origin !== location.origin) throw new TypeError("not from this site");
    return address;
  },
};
const policy = window.trustedTypes?.createPolicy("proof-worker", own) ?? own;

for (const form of document.querySelectorAll("form[data-proof]")) {
  const field = form.elements.proof;
  const status = form.querySelector("[data-status]");
  let working = null;

  async function work() {
    const answer = await fetch(form.dataset.proof, { headers: { Accept: "application/json" } });
    const { challenge } = await answer.json();
    if (!challenge) return;
    const number = await solve(challenge);
    const { algorithm, salt, signature } = challenge;
    field.value = btoa(JSON.stringify({ algorithm, challenge: challenge.challenge, number, salt, signature }));
  }

  function solve(challenge) {
    return new Promise((resolve, reject) => {
      const worker = new Worker(policy.createScriptURL(form.dataset.worker), { type: "module" });
      worker.onerror = reject;
      worker.onmessage = ({ data }) => {
        if (data.done !== undefined) return;
        worker.terminate();
        if (data.failed) reject(new Error("no solution"));
        else resolve(data.number);
      };
      worker.postMessage(challenge);
    });
  }

  form.addEventListener("submit", async (event) => {
    if (event.submitter?.formAction !== form.action && event.submitter?.hasAttribute("formaction")) return;
    if (form.dataset.ready) return;
    event.preventDefault();
    const waiting = setTimeout(() => {
      status.classList.remove("vh");
      status.textContent = form.dataset.working;
    }, 300);
    await working;
    clearTimeout(waiting);
    form.dataset.ready = "1";
    setTimeout(() => form.requestSubmit(event.submitter)); // a form does not submit again while it tells of a submission
  });

  working = work().catch(() => {});
}
