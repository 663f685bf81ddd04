// The small tools of the page: requests, and elements.
const token = document.body.dataset.token;
export const $ = (id) => document.getElementById(id);
export const path = (name, query = {}) => `${name}?${new URLSearchParams({ token, ...query })}`;

export async function json(name, query) {
  const response = await fetch(path(name, query));
  const value = await response.json();
  if (!response.ok) throw new Error(value.error ?? response.statusText);
  return value;
}

export async function post(name, body) {
  const response = await fetch(path(name), { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error((await response.json()).error);
  return await response.json();
}

export function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const units = ["", "k", "M", "G"];
export function rate(value, unit) {
  let i = 0;
  while (value >= 1000 && i < 3) (value /= 1000), i++;
  return `${value < 10 && i > 0 ? value.toFixed(1) : Math.round(value)} ${units[i]}${unit}`;
}

export function element(name, text, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

export function definitions(values) {
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
