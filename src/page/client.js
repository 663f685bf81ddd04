// The page's script: draws the picture, follows the events, and shows what is clicked.
const token = document.body.dataset.token;
const $ = (id) => document.getElementById(id);
const path = (name, query = {}) => `${name}?${new URLSearchParams({ token, ...query })}`;

let graph = { nodes: [], edges: [] };
let actions = [];
let selected;
let zoom = 0; // 0: fits the window
let packets;

async function json(name, query) {
  const response = await fetch(path(name, query));
  const value = await response.json();
  if (!response.ok) throw new Error(value.error ?? response.statusText);
  return value;
}

async function post(name, body) {
  const response = await fetch(path(name), { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error((await response.json()).error);
  return await response.json();
}

// The newest picture counts: answers may come in another order than their questions.
let wanted = 0;
async function redraw() {
  const mine = ++wanted;
  const [state, picture] = await Promise.all([json("/graph"), fetch(path("/picture.svg"))]);
  const text = await picture.text();
  if (mine !== wanted) return;
  ({ graph, actions } = state);
  $("picture").innerHTML = text;
  $("pings").hidden = !state.ping;
  const svg = $("picture").firstElementChild;
  for (const group of svg.querySelectorAll("[data-node], g[data-edge]")) {
    group.setAttribute("tabindex", "0");
    const line = group.querySelector(":scope > .nl-line");
    if (line) {
      const hit = line.cloneNode();
      hit.setAttribute("class", "nl-hit");
      group.append(hit);
      group.setAttribute("role", "button");
      group.setAttribute("aria-label", group.querySelector("title").textContent);
    }
  }
  fit();
  summarize();
  if (selected) show(selected);
}

function fit() {
  const svg = $("picture").firstElementChild;
  if (!svg) return;
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const room = $("picture").getBoundingClientRect();
  const scale = zoom ||
    Math.min(1.5, Math.max(0.35, Math.min((room.width - 20) / width, (room.height - 20) / height)));
  svg.setAttribute("width", width * scale);
  svg.setAttribute("height", height * scale);
  svg.dataset.scale = scale;
}

function summarize() {
  const down = graph.edges.filter(({ state }) => state === "down" || state === "cut").length;
  const impaired = graph.edges.filter(({ state }) => state === "impaired").length;
  const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  $("summary").textContent = [
    graph.title,
    count(graph.nodes.length, "node"),
    count(graph.edges.length, "link"),
    down ? `${down} down` : "",
    impaired ? `${impaired} impaired` : "",
  ].filter(Boolean).join(" · ");
}

function applyState({ edges, nodes }) {
  edges.forEach((state, i) => {
    if (graph.edges[i]) graph.edges[i].state = state;
    for (const group of document.querySelectorAll(`#picture [data-edge="${i}"]`)) {
      for (const name of ["up", "down", "cut", "impaired"]) {
        group.classList.toggle(`nl-is-${name}`, name === state);
      }
    }
  });
  for (const [id, interfaces] of Object.entries(nodes)) {
    const box = document.querySelector(`#picture [data-node="${CSS.escape(id)}"]`);
    for (const dot of box?.querySelectorAll("[data-interface]") ?? []) {
      dot.setAttribute("class", interfaces[dot.dataset.interface] ? "nl-dot-up" : "nl-dot-down");
    }
  }
  summarize();
}

const units = ["", "k", "M", "G"];
function rate(value, unit) {
  let i = 0;
  while (value >= 1000 && i < 3) (value /= 1000), i++;
  return `${value < 10 && i > 0 ? value.toFixed(1) : Math.round(value)} ${units[i]}${unit}`;
}

const rates = new Map();
const keyOf = (end) => `${end.node}:${end.interface ?? ""}`;
function applyRates(list) {
  for (const it of list) rates.set(keyOf(it.end), it);
  graph.edges.forEach((edge, i) => {
    const busy = [edge.from, edge.to].some((end) => rates.get(keyOf(end))?.packets > 0);
    document.querySelector(`#picture [data-edge="${i}"]`)?.classList.toggle("busy", busy);
  });
  if (selected?.edge !== undefined) showRates();
}

function note(text, time = Date.now()) {
  const item = document.createElement("li");
  const stamp = document.createElement("time");
  stamp.textContent = new Date(time).toLocaleTimeString();
  item.append(stamp, ` ${text}`);
  $("events").prepend(item);
  while ($("events").children.length > 200) $("events").lastChild.remove();
}

function fail(error) {
  const line = document.createElement("p");
  line.className = "error";
  line.setAttribute("role", "alert");
  line.textContent = error.message;
  $("panel").append(line);
}

// --- The panel ---

function element(name, text, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

function button(text, act) {
  const made = element("button", text);
  made.type = "button";
  made.onclick = async () => {
    try {
      await act();
    } catch (error) {
      fail(error);
    }
  };
  return made;
}

function definitions(values) {
  const list = element("dl");
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined || key === "stats") continue;
    list.append(
      element("dt", key),
      element("dd", typeof value === "object" ? JSON.stringify(value) : String(value)),
    );
  }
  return list;
}

function mark() {
  for (const it of document.querySelectorAll("#picture .selected")) it.classList.remove("selected");
  const query = selected.edge !== undefined
    ? `[data-edge="${selected.edge}"]`
    : `[data-node="${CSS.escape(selected.node)}"]`;
  document.querySelector(`#picture ${query}`)?.classList.add("selected");
}

async function show(what) {
  selected = what;
  mark();
  try {
    const content = what.edge !== undefined ? edgePanel(what.edge) : await nodePanel(what);
    if (selected === what) $("panel").replaceChildren(...content);
    showRates();
  } catch (error) {
    fail(error);
  }
}

async function nodePanel({ node: id, interface: name }) {
  const node = graph.nodes.find((it) => it.id === id);
  if (!node) return [element("p", "It is gone")];
  const query = { node: id, ...(name === undefined ? {} : { interface: name }) };
  const details = await json("/details", query);
  const links = node.interfaces.map((it) =>
    button(it.name, () => show({ node: id, interface: it.name }))
  );
  const title = name === undefined ? node.name : `${node.name}: ${name}`;
  const verbs = name === undefined ? links : [
    button("Capture", () => capture(query)),
    button("Back", () => show({ node: id })),
  ];
  const row = element("div", undefined, verbs);
  row.className = "verbs";
  return [element("h2", title), row, definitions(details), ...(packets ? [packets.list] : [])];
}

const nameOf = (end) => {
  const node = graph.nodes.find(({ id }) => id === end.node);
  return `${node?.name ?? end.node}${end.interface ? `:${end.interface}` : ""}`;
};

const SLIDERS = {
  delay: { max: 500, unit: "ms" },
  loss: { max: 100, unit: "%" },
  rate: { max: 1000, unit: "mbit" },
};

function edgePanel(number) {
  const edge = graph.edges[number];
  if (!edge) return [element("p", "It is gone")];
  const act = (verb, values) => post(`/${verb}`, { edge: number, values });
  const row = element(
    "div",
    undefined,
    actions
      .filter((verb) => verb !== "impair" && verb !== "clear")
      .map((verb) => button(verb[0].toUpperCase() + verb.slice(1), () => act(verb))),
  );
  row.className = "verbs";
  const ends = [edge.from, edge.to].filter((end) => end.interface !== undefined).map((end) =>
    button(nameOf(end), () => show(end))
  );
  const way = element("div", undefined, ends);
  way.className = "verbs";
  const table = element("dl");
  table.id = "rates";
  return [
    element("h2", `${nameOf(edge.from)} – ${nameOf(edge.to)}`),
    definitions({ kind: edge.kind, state: edge.state, impairment: edge.label?.join(", ") }),
    row,
    ...(actions.includes("impair") ? sliders(act) : []),
    element("h2", "Ends"),
    way,
    table,
  ];
}

function sliders(act) {
  const form = element("form");
  const inputs = Object.entries(SLIDERS).map(([name, { max, unit }]) => {
    const input = element("input");
    Object.assign(input, { type: "range", min: 0, max, value: 0, name });
    const shown = element("output", `0${unit}`);
    input.oninput = () => (shown.textContent = `${input.value}${unit}`);
    form.append(element("label", undefined, [element("span", name), input, shown]));
    return { name, input, unit };
  });
  const row = element("div", undefined, [
    button("Impair", () => {
      const values = inputs.filter(({ input }) => input.value !== "0")
        .map(({ name, input, unit }) => [name, `${input.value}${unit}`]);
      return act("impair", Object.fromEntries(values));
    }),
    button("Clear", () => act("clear")),
  ]);
  row.className = "verbs";
  form.append(row);
  return [form];
}

function showRates() {
  const table = $("rates");
  const edge = graph.edges[selected?.edge];
  if (!table || !edge) return;
  table.replaceChildren(...[edge.from, edge.to].flatMap((end) => {
    const it = rates.get(keyOf(end));
    if (!it) return [];
    const text = `${rate(it.bits, "bit/s")}, ${rate(it.packets, "packets/s")}` +
      (it.drops > 0 ? `, ${rate(it.drops, "drops/s")}` : "");
    return [element("dt", `${nameOf(end)} sends`), element("dd", text)];
  }));
}

function capture(query) {
  packets?.source.close();
  const list = element("ol");
  list.id = "packets";
  const source = new EventSource(path("/packets", query));
  source.onmessage = ({ data }) => {
    list.prepend(element("li", JSON.parse(data)));
    while (list.children.length > 500) list.lastChild.remove();
  };
  packets = { source, list };
  $("panel").append(list);
}

// --- Clicks, keys, zoom ---

function choose(target) {
  const dot = target.closest("[data-interface]");
  const box = target.closest("[data-node]");
  if (box) {
    const row = dot?.dataset.interface;
    return show({ node: box.dataset.node, ...(row === undefined ? {} : { interface: row }) });
  }
  const line = target.closest("[data-edge]");
  if (line) show({ edge: Number(line.dataset.edge) });
}

$("picture").addEventListener("click", (event) => choose(event.target));
$("picture").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(event.target);
  }
});

function scale(factor) {
  zoom = Math.min(4, Math.max(0.1, Number($("picture").firstElementChild.dataset.scale) * factor));
  fit();
}
$("zoom-in").onclick = () => scale(1.25);
$("zoom-out").onclick = () => scale(0.8);
$("zoom-fit").onclick = () => ((zoom = 0), fit());
addEventListener("resize", fit);

$("ping-all").onclick = async () => {
  const nodes = graph.nodes.filter(({ kind }) => kind === "host" || kind === "router").slice(0, 30);
  const table = element("table");
  table.append(
    element("tr", undefined, [element("th", ""), ...nodes.map((it) => element("th", it.name))]),
  );
  $("matrix").replaceChildren(table);
  for (const from of nodes) {
    const row = element("tr", undefined, [element("th", from.name)]);
    table.append(row);
    const cells = await Promise.all(nodes.map(async (to) => {
      if (to === from) return element("td", "·");
      const { time } = await post("/ping", { from: from.id, to: to.id });
      const cell = element("td", time === null ? "✗" : time.toFixed(1));
      if (time === null) cell.className = "none";
      return cell;
    }));
    row.append(...cells);
  }
};

// --- Events: the browser comes back by itself, with the number of the last one ---

const stream = new EventSource(path("/events"));
const status = (text, look) => {
  $("connection").textContent = text;
  $("connection").className = look;
};
stream.onopen = () => status("live", "open");
stream.onerror = () => status("connection lost", "lost");
stream.addEventListener("picture", () => redraw().catch(fail));
stream.addEventListener("state", ({ data }) => applyState(JSON.parse(data)));
stream.addEventListener("rates", ({ data }) => applyRates(JSON.parse(data)));
stream.addEventListener("event", ({ data }) => {
  const { text, time } = JSON.parse(data);
  note(text, time);
});
