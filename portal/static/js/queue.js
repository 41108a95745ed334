// Keys in the queue of tip-offs: j and k move, x chooses, o opens, m gives the chosen to the officer.

const table = document.querySelector("[data-queue]");
const rows = table ? [...table.tBodies[0].rows] : [];
let at = -1;

function go(to) {
  if (!rows[to]) return;
  rows[at]?.classList.remove("at");
  at = to;
  rows[at].classList.add("at");
  rows[at].querySelector("a").focus();
}

document.querySelector("[data-keys]")?.removeAttribute("hidden");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  const box = rows[at]?.querySelector("input[type=checkbox]");
  if (event.key === "j") go(at + 1);
  else if (event.key === "k") go(at - 1);
  else if (event.key === "x" && box) box.checked = !box.checked;
  else if (event.key === "o" && at >= 0) rows[at].querySelector("a").click();
  else if (event.key === "m" && table.querySelector("input:checked")) {
    table.closest("form").querySelector("button[value=mine]").click();
  } else if (event.key === "/") document.querySelector("#number").focus();
  else return;
  event.preventDefault();
});
