// Keeps the page of a delivery that is being read up to date, and ends when it is read. Without it there is a link.

const PAUSE_MS = 3000;

async function lookAgain() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("delivery");
  const present = document.getElementById("delivery");
  if (!fresh || !present) return;
  present.replaceChildren(...fresh.childNodes);
  if (fresh.hasAttribute("data-live")) setTimeout(lookAgain, PAUSE_MS);
}

if (document.querySelector("#delivery[data-live]")) setTimeout(lookAgain, PAUSE_MS);
