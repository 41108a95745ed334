// Keeps the page of a delivery that is being read up to date, and ends when it is read. Without it there is a link.
// The browser itself reads the answer as a document (`responseType`): no text is ever made markup here.

const PAUSE_MS = 3000;

function lookAgain() {
  const request = new XMLHttpRequest();
  request.responseType = "document";
  request.addEventListener("load", () => {
    if (request.status !== 200 || request.responseURL !== location.href.split("#")[0]) return;
    const fresh = request.response?.getElementById("delivery");
    const present = document.getElementById("delivery");
    if (!fresh || !present) return;
    present.replaceChildren(...fresh.childNodes);
    if (fresh.hasAttribute("data-live")) setTimeout(lookAgain, PAUSE_MS);
  });
  request.open("GET", location.href);
  request.setRequestHeader("Accept", "text/html");
  request.send();
}

if (document.querySelector("#delivery[data-live]")) setTimeout(lookAgain, PAUSE_MS);
