// Reads the OpenAPI document beside this page and lets each operation be tried.
"use strict";

let key = ""; // of this page only; a login is in a cookie that scripts cannot see
const base = location.pathname.replace(/\/docs$/, "");
const find = (selector) => document.querySelector(selector);

function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (v !== undefined && v !== false) e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children);
  return e;
}

function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = "Bearer " + key;
  return fetch(base + path, { ...options, headers });
}

function resolve(doc, schema) {
  while (schema && schema.$ref) schema = doc.components.schemas[schema.$ref.split("/").pop()];
  return schema || {};
}

// example is a value that a schema takes, to start from.
function example(doc, schema) {
  schema = resolve(doc, schema);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const type = [].concat(schema.type || "object")[0];
  if (type === "object") {
    const out = {};
    for (const [name, inner] of Object.entries(schema.properties || {})) {
      if ((schema.required || []).includes(name)) out[name] = example(doc, inner);
    }
    return out;
  }
  return { array: [], integer: schema.minimum || 0, number: 0, boolean: false }[type] ?? "";
}

function operation(doc, path, method, op) {
  const scope = op.security ? Object.values(op.security[0])[0][0] : "anyone";
  const box = element("details", {},
    element("summary", {}, element("span", { class: "scope" }, scope),
      element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path), " ", op.summary || ""));
  box.addEventListener("toggle", () => fill(), { once: true });

  function fill() {
    if (op.description) box.append(element("p", { class: "about" }, op.description));
    const form = element("form");
    for (const p of op.parameters || []) {
      if (p.in === "cookie") continue;
      form.append(element("label", {}, p.name + (p.required ? " *" : "") + " ",
        element("input", { name: p.in + ":" + p.name, value: p.schema.default, required: p.required }),
        element("span", { class: "about" }, " " + (p.description || ""))));
    }
    const content = op.requestBody && op.requestBody.content["application/json"];
    let body;
    if (content) {
      body = element("textarea", { "aria-label": "Body", spellcheck: "false" });
      body.value = JSON.stringify(example(doc, content.schema), null, 2);
      form.append(body);
    }
    const out = element("pre", { hidden: true });
    const stop = element("button", { type: "button", hidden: true }, "Stop");
    form.append(element("button", {}, "Try"), stop);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(form, body, out, stop);
    });
    box.append(form, out);
  }

  async function run(form, body, out, stop) {
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const input of form.querySelectorAll("input")) {
      const [place, name] = input.name.split(":");
      if (place === "path") target = target.replace("{" + name + "}", encodeURIComponent(input.value));
      else if (input.value && place === "query") query.set(name, input.value);
      else if (input.value && place === "header") headers[name] = input.value;
    }
    if (query.size) target += "?" + query;
    if (body) headers["Content-Type"] = "application/json";
    const abort = new AbortController();
    stop.onclick = () => abort.abort();
    out.hidden = stop.hidden = false;
    out.textContent = "…";
    try {
      const answer = await ask(target, { method: method.toUpperCase(), headers, body: body && body.value, signal: abort.signal });
      out.textContent = answer.status + " " + answer.statusText + "\n\n";
      const type = answer.headers.get("Content-Type") || "";
      if (type.includes("json")) {
        out.textContent += JSON.stringify(await answer.json(), null, 2);
      } else if (type.startsWith("text/")) {
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part; !(part = await reader.read()).done;) out.textContent = (out.textContent + part.value).slice(-100000);
      } else {
        out.textContent += (await answer.blob()).size + " bytes";
      }
    } catch (error) {
      out.textContent += "\n" + error.message;
    }
    stop.hidden = true;
  }
  return box;
}

async function show() {
  const answer = await ask("/openapi.json");
  find("#login").hidden = answer.ok;
  if (!answer.ok) {
    find("#login [role=alert]").textContent = key ? (await answer.json()).title : "";
    key = "";
    return;
  }
  const doc = await answer.json();
  const me = await (await ask("/me")).json();
  find("#who").textContent = me.name + " (" + me.scope + ") · " + doc.info.version;
  const routes = find("#routes");
  routes.replaceChildren(element("p", { class: "about" }, doc.info.description));
  let tag = "";
  const all = Object.entries(doc.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([method]) => ["get", "post", "put", "patch", "delete"].includes(method)).map(([method, op]) => [path, method, op]));
  const tags = [...new Set(all.map(([, , op]) => op.tags[0]))].sort();
  for (const [path, method, op] of all.sort((a, b) => tags.indexOf(a[2].tags[0]) - tags.indexOf(b[2].tags[0]))) {
    if (op.tags[0] !== tag) routes.append(element("h2", {}, (tag = op.tags[0])));
    routes.append(operation(doc, path, method, op));
  }
}

find("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  key = form.get("key");
  if (!key) {
    const answer = await ask("/login", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: form.get("user"), password: form.get("password") }),
    });
    if (!answer.ok) {
      find("#login [role=alert]").textContent = (await answer.json()).title;
      return;
    }
  }
  show();
});
show();
