// The page's script: draws the picture, follows the events, and shows what is clicked.
import { $, definitions, element, json, path, post, rate, svg } from "./tools.js";

let graph = { nodes: [], edges: [] };
let actions = [];
let selected;
let zoom = 0; // 0: fits the window
// The parts of the picture by edge and node, so that a change searches nothing.
let lines = [];
let boxes = new Map();

// The newest picture counts: answers may come in another order than their questions.
let wanted = 0;
async function redraw() {
  const mine = ++wanted;
  const [state, picture] = await Promise.all([
    json("/graph"),
    fetch(path("/picture.svg", { ratio: shape() })),
  ]);
  const text = await picture.text();
  if (!picture.ok) throw new Error(text);
  if (mine !== wanted) return;
  ({ graph, actions } = state);
  const focused = document.activeElement?.closest("#picture [data-node], #picture [data-edge]");
  $("picture").innerHTML = text;
  $("pings").hidden = !state.ping;
  index();
  applyState(state.state);
  fit();
  const { node, edge } = focused?.dataset ?? {};
  (node === undefined ? lines[edge]?.[0] : boxes.get(node))?.focus();
  if (selected) show(selected);
}

/** The shape of the picture's place: below 1 on a phone. */
const shape = () => ($("picture").clientWidth / $("picture").clientHeight).toFixed(1);

function index() {
  const svg = $("picture").firstElementChild;
  lines = graph.edges.map(() => []);
  boxes = new Map();
  for (const group of svg.querySelectorAll("[data-node], g[data-edge]")) {
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    const { node, edge } = group.dataset;
    if (edge !== undefined) lines[edge]?.push(group);
    if (node !== undefined) boxes.set(node, group);
    const line = group.querySelector(":scope > .nl-line");
    if (!line) continue;
    const hit = line.cloneNode();
    hit.setAttribute("class", "nl-hit");
    group.append(hit);
  }
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
  const all = Map.groupBy(graph.edges, ({ state }) => state);
  const states = ["down", "cut", "impaired"].map((state) =>
    all.has(state) ? `${all.get(state).length} ${state}` : ""
  );
  const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  $("summary").textContent = [
    graph.title,
    count(graph.nodes.length, "node"),
    count(graph.edges.length, "link"),
    ...states,
  ].filter(Boolean).join(" · ");
}

const STATES = ["up", "down", "cut", "impaired"];

function applyState({ edges, labels, nodes }) {
  edges.forEach((state, i) => {
    const edge = graph.edges[i];
    if (!edge) return;
    edge.state = state;
    const label = labels[i] ?? [];
    for (const group of lines[i]) {
      for (const name of STATES) group.classList.toggle(`nl-is-${name}`, name === state);
      if (group.dataset.node === undefined) {
        group.setAttribute("aria-label", [titleOf(edge), state, ...label].join(", "));
      }
    }
    edge.label = label;
    for (const group of lines[i]) relabel(edge, group);
  });
  for (const [id, interfaces] of Object.entries(nodes)) {
    for (const dot of boxes.get(id)?.querySelectorAll("[data-interface]") ?? []) {
      dot.setAttribute("class", interfaces[dot.dataset.interface] ? "nl-dot-up" : "nl-dot-down");
    }
  }
  summarize();
  if (selected?.edge !== undefined) updateEdge();
}

// Impairments are written beside their line where it is: boxes stay in their places.
function relabel({ from, to, label }, group) {
  const line = group.querySelector(":scope > .nl-line");
  const old = [...group.querySelectorAll(".nl-label")];
  if (!line || label.length + old.length === 0) return;
  const turned = middleOf(from) > middleOf(to);
  const texts = label.map((text) =>
    turned ? text.replace(/^[→←]/, (it) => it === "→" ? "←" : "→") : text
  );
  if (String(texts) === String(old.map(({ textContent }) => textContent))) return;
  for (const part of [...old, ...group.querySelectorAll(".nl-behind")]) part.remove();
  if (texts.length === 0) return;
  const { x, y } = line.getPointAtLength(line.getTotalLength() / 2);
  const width = Math.max(...texts.map(({ length }) => length)) * 6.6 + 8;
  const [top, height] = [y - texts.length * 7.5, texts.length * 15];
  group.append(svg("rect", { class: "nl-behind", x: x - width / 2, y: top, width, height, rx: 3 }));
  texts.forEach((text, i) => {
    const made = svg("text", { class: "nl-label", x, y: top + 11 + i * 15 });
    made.textContent = text;
    group.append(made);
  });
}

const middleOf = ({ node }) => {
  const { x, width } = boxes.get(node).getBBox();
  return x + width / 2;
};

const rates = new Map();
const keyOf = (end) => `${end.node}:${end.interface ?? ""}`;
function applyRates(list) {
  for (const it of list) rates.set(keyOf(it.end), it);
  graph.edges.forEach((edge, i) => {
    const busy = [edge.from, edge.to].some((end) => rates.get(keyOf(end))?.packets > 0);
    for (const group of lines[i]) group.classList.toggle("busy", busy);
  });
  if (selected?.edge !== undefined) updateEdge();
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
  $("panel").querySelector(".error")?.remove();
  const line = element("p", error.message);
  line.className = "error";
  line.setAttribute("role", "alert");
  $("panel").append(line);
}

// --- The panel ---

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

function verbs(...buttons) {
  const row = element("div", undefined, buttons);
  row.className = "verbs";
  return row;
}

async function show(what) {
  selected = what;
  for (const it of document.querySelectorAll("#picture .selected")) it.classList.remove("selected");
  const chosen = what.edge !== undefined ? lines[what.edge]?.[0] : boxes.get(what.node);
  chosen?.classList.add("selected");
  try {
    const content = await (what.edge !== undefined ? edgePanel(what.edge) : nodePanel(what));
    if (selected !== what) return;
    $("panel").replaceChildren(...content);
    if (what.edge !== undefined) updateEdge();
  } catch (error) {
    fail(error);
  }
}

async function nodePanel({ node: id, interface: name }) {
  const node = graph.nodes.find((it) => it.id === id);
  if (!node) return [element("p", "It is gone")];
  const query = { node: id, ...(name === undefined ? {} : { interface: name }) };
  const details = await json("/details", query);
  if (name === undefined) {
    const links = node.interfaces.map((it) =>
      button(it.name, () => show({ node: id, interface: it.name }))
    );
    return [element("h2", node.name), verbs(...links), definitions(details)];
  }
  const title = `${node.name}:${name}`;
  const row = verbs(
    button("Capture", () => capture(query, title)),
    button(`Back to ${node.name}`, () => show({ node: id })),
  );
  return [element("h2", title), row, definitions(details)];
}

const nameOf = (end) => {
  const node = graph.nodes.find(({ id }) => id === end.node);
  return `${node?.name ?? end.node}${end.interface ? `:${end.interface}` : ""}`;
};
const titleOf = ({ from, to }) => `${nameOf(from)} – ${nameOf(to)}`;

// Two verbs that undo each other are one button: the state says which one it is.
const TOGGLES = [["cut", "heal"], ["down", "up"]];

async function edgePanel(number) {
  const edge = graph.edges[number];
  if (!edge) return [element("p", "It is gone")];
  const act = (verb, values) => post(`/${verb}`, { edge: number, values });
  const toggles = TOGGLES.filter(([verb]) => actions.includes(verb)).map(([verb, back]) => {
    const made = button("", () => act(edge.state === verb ? back : verb));
    Object.assign(made.dataset, { verb, back });
    return made;
  });
  const ends = [edge.from, edge.to].filter((end) => end.interface !== undefined)
    .map((end) => button(nameOf(end), () => show(end)));
  const facts = element("dl");
  facts.id = "facts";
  return [
    element("h2", titleOf(edge)),
    facts,
    verbs(...toggles),
    ...(actions.includes("impair") ? [await sliders(number, act)] : []),
    element("h2", "Ends"),
    verbs(...ends),
  ];
}

// What changes in the panel of a line while it is shown; its buttons and sliders keep the focus.
function updateEdge() {
  const edge = graph.edges[selected.edge];
  const facts = $("facts");
  if (!edge || !facts) return;
  for (const made of $("panel").querySelectorAll("[data-verb]")) {
    const { verb, back } = made.dataset;
    const word = edge.state === verb ? back : verb;
    made.textContent = word[0].toUpperCase() + word.slice(1);
  }
  const flows = [edge.from, edge.to].flatMap((end) => {
    const it = rates.get(keyOf(end));
    if (!it) return [];
    const text = `${rate(it.bits, "bit/s")}, ${rate(it.packets, "packets/s")}` +
      (it.drops > 0 ? `, ${rate(it.drops, "drops/s")}` : "");
    return [[`${nameOf(end)} sends`, text]];
  });
  facts.replaceWith(definitions({
    kind: edge.kind,
    state: edge.state,
    impairment: edge.label?.join(", ") || undefined,
    ...Object.fromEntries(flows),
  }));
  $("panel").querySelector("dl").id = "facts";
}

const steps = (...values) => [0, ...values];
const SLIDERS = {
  delay: { values: steps(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), unit: "ms", scale: 1 },
  jitter: { values: steps(1, 2, 5, 10, 20, 50, 100, 200), unit: "ms", scale: 1 },
  loss: { values: steps(0.1, 0.5, 1, 2, 5, 10, 20, 50, 100), unit: "%", scale: 100 },
  rate: {
    values: steps(0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32, 64, 100, 250, 500, 1000),
    unit: "mbit",
    scale: 1e-6,
  },
};

/** The sliders of a line's impairment: each change is in force at once. */
async function sliders(number, act) {
  const { from, to } = graph.edges[number];
  const form = element("form");
  form.onsubmit = () => false;
  const direction = element("select");
  direction.name = "direction";
  direction.append(
    new Option("both directions", "both"),
    new Option(`${nameOf(from)} → ${nameOf(to)}`, "out"),
    new Option(`${nameOf(to)} → ${nameOf(from)}`, "in"),
  );
  const inputs = Object.entries(SLIDERS).map(([name, { values, unit, scale }]) => {
    const input = element("input");
    const shown = element("output");
    Object.assign(input, { type: "range", min: 0, max: values.length - 1, step: 1, name });
    const say = (value) => {
      shown.textContent = value === 0 ? "none" : `${value}${unit}`;
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.oninput = () => say(values[input.value]);
    let timer;
    input.onchange = () => {
      clearTimeout(timer); // keys change it several times
      timer = setTimeout(async () => {
        const value = values[input.value];
        const text = value === 0 ? null : `${value}${unit}`;
        try {
          await act("impair", { direction: direction.value, [name]: text });
          $("panel").querySelector(".error")?.remove();
        } catch (error) {
          fail(error);
        }
        await read();
      }, 150);
    };
    form.append(element("label", undefined, [element("span", name), input, shown]));
    const set = (value = 0) => {
      const at = value * scale;
      const near = values.reduce((a, b) => Math.abs(b - at) < Math.abs(a - at) ? b : a);
      input.value = values.indexOf(near);
      say(Number(at.toPrecision(6)));
    };
    return { name, set };
  });
  const read = async () => {
    const found = await json("/impairment", { edge: number });
    const { [direction.value === "in" ? "in" : "out"]: values = {} } = found;
    for (const { name, set } of inputs) set(values[name]);
  };
  direction.onchange = () => read().catch(fail);
  form.prepend(element("label", undefined, [element("span", "packets"), direction]));
  form.append(verbs(button("Clear", async () => {
    await act("clear");
    await read();
  })));
  await read();
  return form;
}

let source;
function capture(query, title) {
  source?.close();
  $("capture").hidden = false;
  $("captured").textContent = `Packets of ${title}`;
  const list = $("packets");
  list.replaceChildren();
  source = new EventSource(path("/packets", query));
  source.onmessage = ({ data }) => {
    list.prepend(...JSON.parse(data).map((line) => element("li", line)).reverse());
    while (list.children.length > 500) list.lastChild.remove();
  };
}
$("capture-stop").onclick = () => {
  source?.close();
  $("capture").hidden = true;
};

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
let drawnFor = shape();
let resized;
addEventListener("resize", () => {
  fit();
  clearTimeout(resized);
  resized = setTimeout(() => {
    if (drawnFor === shape()) return;
    drawnFor = shape();
    redraw().catch(fail);
  }, 300);
});

// As many rows and columns as a person can read.
const MOST = 40;

$("ping-all").onclick = async () => {
  const all = graph.nodes.filter(({ interfaces }) => interfaces.some((it) => it.addresses?.length));
  const nodes = all.slice(0, MOST);
  const table = element("table");
  const head = (it) => {
    const made = element("th", undefined, [element("span", it.name)]);
    made.scope = "col";
    return made;
  };
  table.append(element("tr", undefined, [element("td", "ms"), ...nodes.map(head)]));
  $("matrix").replaceChildren(table);
  if (all.length > MOST) $("matrix").prepend(element("p", `The first ${MOST} of ${all.length}`));
  try {
    for (const from of nodes) {
      const to = nodes.filter((it) => it !== from).map(({ id }) => id);
      const { times } = await post("/ping", { from: from.id, to });
      const cells = nodes.map((it) => {
        if (it === from) return element("td", "·");
        const time = times[to.indexOf(it.id)];
        const cell = element("td", time === null ? "✗" : time.toFixed(1));
        if (time === null) cell.className = "none";
        return cell;
      });
      const name = element("th", from.name);
      name.scope = "row";
      table.append(element("tr", undefined, [name, ...cells]));
    }
  } catch (error) {
    fail(error);
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
