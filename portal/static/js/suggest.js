// Suggestions under a search box: an editable combobox with a list (ARIA Authoring Practices, manual selection).
// Arrow keys choose, Enter opens the chosen entity (or searches when none is chosen), Escape closes, then empties.
// In a form (`data-fill`: name of a field for the code) the chosen entity is filled in instead of opened.

const WAIT_MS = 140;

function combobox(input) {
  const list = document.createElement("ul");
  const status = document.createElement("div");
  const filled = document.createElement("input");
  let asked = 0;
  let timer = 0;
  let chosen = -1;
  let pending = null;

  list.id = `${input.id}-options`;
  list.className = "options";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.dataset.label);
  status.className = "vh";
  status.setAttribute("role", "status");
  input.parentElement.append(list, status);
  if (input.dataset.fill) {
    filled.type = "hidden";
    filled.name = input.dataset.fill;
    input.after(filled);
  }
  for (const [name, value] of Object.entries({
    role: "combobox",
    autocomplete: "off",
    "aria-autocomplete": "list",
    "aria-controls": list.id,
    "aria-expanded": "false",
  })) {
    input.setAttribute(name, value);
  }

  const options = () => [...list.children];

  function close() {
    asked += 1;
    clearTimeout(timer);
    pending?.abort();
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    choose(-1);
  }

  function choose(index) {
    chosen = index;
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const option = list.children[index];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function take(option) {
    const { code } = option.dataset;
    if (!input.dataset.fill) return location.assign(`/entities/${encodeURIComponent(code)}`);
    close();
    input.value = option.querySelector("span").textContent;
    filled.value = code;
  }

  function show(items) {
    list.replaceChildren(
      ...items.map((item, at) => {
        const option = document.createElement("li");
        const name = document.createElement("span");
        const more = document.createElement("small");
        option.id = `${list.id}-${at}`;
        option.dataset.code = item.code;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        name.lang = "zh-CN";
        name.textContent = item.name;
        more.textContent = [item.district, item.code].filter(Boolean).join(" · ");
        option.append(name, more);
        return option;
      }),
    );
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(items.length > 0));
    status.textContent = items.length ? input.dataset.found.replace("{n}", items.length) : input.dataset.none;
    choose(-1);
  }

  async function ask() {
    const text = input.value.trim();
    if (!text) return close();
    const turn = (asked += 1);
    pending?.abort();
    pending = new AbortController();
    try {
      const address = `/api/v1/suggest?${new URLSearchParams({ q: text.slice(0, 100), limit: 8 })}`;
      const answer = await fetch(address, { signal: pending.signal, headers: { Accept: "application/json" } });
      const items = answer.ok ? (await answer.json()).items : [];
      if (turn === asked && document.activeElement === input) show(items);
    } catch {
      if (turn === asked) close();
    }
  }

  input.addEventListener("input", (event) => {
    clearTimeout(timer);
    filled.value = "";
    // While an input method is still composing, the box holds letters that nobody meant.
    if (!event.isComposing) timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("compositionend", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const last = list.children.length - 1;
    if (event.key === "ArrowDown" && last >= 0) choose(chosen === last ? -1 : chosen + 1);
    else if (event.key === "ArrowUp" && last >= 0) choose(chosen === -1 ? last : chosen - 1);
    else if (event.key === "Enter" && chosen >= 0) take(list.children[chosen]);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Escape") input.value = "";
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  // A press on an option must not take the focus from the box before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("li");
    if (option) take(option);
  });
}

document.querySelectorAll("[data-suggest]").forEach(combobox);
