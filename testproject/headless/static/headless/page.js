// Buys by JSON alone: the shop's own two endpoints, and django-pagoefectivo's REST API.
"use strict";

const at = document.body.dataset;
const part = (id) => document.getElementById(id);
const WORDS = {
  created: "Your code is being made",
  pending: "Waiting for your payment",
  paid: "Paid. Thank you!",
  expired: "The code has expired",
  cancelled: "Cancelled",
  refunded: "Refunded",
  failed: "No code could be made",
};
const WAIT = 3000;
let waiting = 0;

class Problem extends Error {
  constructor(answer) {
    super(answer.errors?.map((error) => error.message).join(" ") || answer.detail);
    this.code = answer.code;
    this.payment = answer.payment;
  }
}

function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function ask(url, body, headers = {}) {
  const options = { headers: { ...headers, Accept: "application/json" }, credentials: "same-origin" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
    options.headers["X-CSRFToken"] = csrfToken();
  }
  const response = await fetch(url, options);
  const answer = await response.json();
  if (!response.ok) throw new Problem(answer);
  return answer;
}

// The same key each time: whatever got lost on the way, there is one order and one payment.
async function tryTwice(act) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Problem && error.code !== "idempotency_key_in_use") throw error;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return act();
  }
}

async function buy(slug) {
  const key = newKey();
  const order = await tryTwice(() => ask(at.orders, { product: slug, token: key }));
  return tryTwice(() =>
    ask(at.payments, { order_reference: order.number }, { "Idempotency-Key": key }),
  );
}

function tell(error) {
  part("problem").textContent = error ? error.message || "Something went wrong." : "";
  part("problem").hidden = !error;
  if (error) part("problem").scrollIntoView({ block: "center" });
}

function amountOf(payment) {
  return `${payment.currency === "PEN" ? "S/" : "US$"} ${payment.amount}`;
}

function show(payment) {
  clearTimeout(waiting);
  const panel = part("payment");
  panel.hidden = false;
  panel.dataset.status = payment.status;
  panel.dataset.token = payment.token;
  part("payment-status").textContent = WORDS[payment.status];
  part("payment-amount").textContent = amountOf(payment);
  part("payment-deadline").textContent = new Date(payment.expires_at).toLocaleString("en", {
    dateStyle: "medium", timeStyle: "short", timeZone: "America/Lima",
  });
  part("payment-deadline").dateTime = payment.expires_at;
  part("payment-cip").textContent = (payment.cip ?? "").replace(/(\d{4})(?=\d)/g, "$1 ");
  part("payment-page").href = payment.page_url;
  for (const id of ["payment-how", "payment-cip", "payment-cancel"]) {
    part(id).hidden = payment.status !== "pending";
  }
  if (!payment.final) waiting = setTimeout(() => look(payment.token), WAIT);
}

async function look(token) {
  try {
    const payment = await ask(`${at.payments}${token}/`);
    show(payment);
    if (payment.final) await list();
  } catch {
    waiting = setTimeout(() => look(token), WAIT * 2);
  }
}

async function list() {
  const page = await ask(`${at.payments}?mine=true&page_size=5`);
  part("mine").hidden = page.results.length === 0;
  part("payments").replaceChildren(
    ...page.results.map((payment) => {
      const line = part("line").content.cloneNode(true);
      const [what, how] = line.querySelectorAll("span");
      what.textContent = `${payment.order_reference}, ${amountOf(payment)}`;
      how.textContent = payment.status;
      return line;
    }),
  );
}

async function during(button, act) {
  button.disabled = true;
  tell(null);
  try {
    const payment = await act();
    show(payment);
    part("payment").scrollIntoView({ block: "center" });
    await list();
  } catch (error) {
    tell(error);
    if (error.payment) await look(error.payment.token);
  } finally {
    button.disabled = false;
  }
}

async function start() {
  const shop = await ask(at.products);
  part("who").textContent = shop.user ?? "";
  part("log-in").hidden = shop.user !== null;
  part("shelf").replaceChildren(
    ...shop.products.map((product) => {
      const item = part("product").content.cloneNode(true);
      item.querySelector("img").src = product.picture;
      item.querySelector("h2").textContent = product.name;
      item.querySelector(".product-text p").textContent = product.description;
      item.querySelector(".price").textContent = product.price;
      const button = item.querySelector("button");
      button.setAttribute("aria-label", `Buy ${product.name}`);
      button.disabled = !product.available;
      button.addEventListener("click", () => {
        if (shop.user === null) window.location.assign(part("log-in").href);
        else during(button, () => buy(product.slug));
      });
      return item;
    }),
  );
  if (shop.user !== null) await list();
}

part("payment-cancel").addEventListener("click", (event) => {
  const { token } = part("payment").dataset;
  during(event.currentTarget, () => ask(`${at.payments}${token}/cancel/`, {}));
});
start().catch(tell);
