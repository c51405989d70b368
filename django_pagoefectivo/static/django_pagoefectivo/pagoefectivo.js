/* Live status, copy, share, print and countdown for the payment page and its parts.
   Everything here is an extra: without it the page shows the same and is refreshed by a link.

   Each change of state is also sent as a "pagoefectivo:status" event from the element that
   watches, with the endpoint's JSON as its detail. */
(function () {
  "use strict";

  // The card links this file itself, so a page with two cards brings it twice.
  if (document.documentElement.hasAttribute("data-pe-script")) return;
  document.documentElement.setAttribute("data-pe-script", "");

  var LAST_HOURS = 6 * 3600e3;
  var SLOWEST_RETRY = 120;
  var ANSWER_WITHIN = 15e3;
  var LIMA_OFFSET = 300; // minutes behind UTC, all year

  function each(root, selector, act) {
    Array.prototype.forEach.call(root.querySelectorAll(selector), act);
  }

  // A region must be there before words come into it, else they are not read out.
  var pageLive = document.createElement("p");
  pageLive.className = "pe-sr";
  pageLive.setAttribute("role", "status");
  document.body.appendChild(pageLive);

  function say(element, text) {
    var card = element.closest("[data-pe-watch]");
    var live = card && card.querySelector("[data-pe-live]") || pageLive;
    // Cleared first: the same words twice would be no change, and so not be read out.
    live.textContent = "";
    setTimeout(function () { live.textContent = text; }, 100);
  }

  /* One watcher an address, however many parts show it */

  var watchers = {};

  function Watcher(url) {
    this.url = url;
    this.roots = [];
    this.etag = "";
    this.next = 5;
    this.failures = 0;
    this.over = false;
    this.busy = false;
    this.timer = 0;
    this.lastAsked = Date.now();
    this.watchedFrom = Date.now();
  }

  Watcher.prototype.schedule = function (seconds) {
    clearTimeout(this.timer);
    if (this.over || document.hidden) return;
    // A little apart, so that a thousand pages do not ask in step.
    this.timer = setTimeout(this.ask.bind(this), seconds * 1000 * (0.9 + Math.random() * 0.2));
  };

  Watcher.prototype.wake = function () {
    this.watchedFrom = Date.now();
    this.failures = 0;
    if (Date.now() - this.lastAsked > 2000) this.ask();
    else this.schedule(2);
  };

  Watcher.prototype.ask = function () {
    var self = this;
    if (self.busy) return Promise.resolve();
    clearTimeout(self.timer);
    self.busy = true;
    self.lastAsked = Date.now();
    var abort = window.AbortController ? new AbortController() : null;
    var limit = setTimeout(function () { if (abort) abort.abort(); }, ANSWER_WITHIN);
    var headers = { Accept: "application/json" };
    if (self.etag) headers["If-None-Match"] = self.etag;
    var watched = Math.round((Date.now() - self.watchedFrom) / 1000);
    var retryAfter = 0;
    return fetch(self.url + "?watched=" + watched, {
      headers: headers,
      credentials: "same-origin",
      cache: "no-store",
      signal: abort ? abort.signal : undefined
    }).then(function (answer) {
      if (answer.status === 304) return null;
      if (answer.status === 404 || answer.status === 410) self.over = true;
      if (!answer.ok) {
        retryAfter = Number(answer.headers.get("Retry-After")) || 0;
        throw new Error(String(answer.status));
      }
      var etag = answer.headers.get("ETag") || "";
      return answer.json().then(function (data) {
        return self.show(data).then(function () { self.etag = etag; });
      });
    }).then(function () {
      self.failures = 0;
      self.offline(false);
    }, function () {
      self.failures += 1;
      if (self.failures > 1 || navigator.onLine === false) self.offline(true);
    }).then(function () {
      clearTimeout(limit);
      self.busy = false;
      var slower = self.next * Math.pow(2, Math.min(self.failures, 6));
      self.schedule(Math.max(self.next, retryAfter, Math.min(slower, SLOWEST_RETRY)));
    });
  };

  Watcher.prototype.show = function (data) {
    var self = this;
    self.next = data.next_poll || self.next;
    return Promise.all(self.roots.map(function (root) {
      var set = root.dataset;
      if (set.peDisplay === data.status_display && set.peExpires === data.expires_at) return null;
      var done = set.pePage ? redraw(root) : rename(root, data);
      return done.then(function () {
        root.dispatchEvent(new CustomEvent("pagoefectivo:status", { bubbles: true, detail: data }));
      });
    })).then(function () {
      // Only once it is on the page: else a redraw that failed would never be tried again.
      self.over = Boolean(data.final);
    });
  };

  Watcher.prototype.offline = function (is) {
    this.roots.forEach(function (root) {
      var notice = root.querySelector("[data-pe-offline]");
      if (!notice || notice.hidden === !is) return;
      notice.hidden = !is;
      if (is) say(root, notice.textContent);
    });
  };

  function rename(root, data) {
    root.dataset.peDisplay = data.status_display;
    root.dataset.peExpires = data.expires_at;
    var text = root.querySelector("[data-pe-text]");
    var words = data.status_display;
    if (text) text.textContent = words.charAt(0).toUpperCase() + words.slice(1);
    root.className = root.className.replace(/pe-tone-\w+/, data.paid ? "pe-tone-good" : data.final ? "pe-tone-mute" : "pe-tone-calm");
    return Promise.resolve();
  }

  /* Fetch the page anew and put its card in the place of this one. A request that yields a
     document runs no script in it and asks nothing of a Trusted Types policy. */
  function redraw(root) {
    return new Promise(function (resolve, reject) {
      var request = new XMLHttpRequest();
      request.open("GET", root.dataset.pePage);
      request.responseType = "document";
      request.timeout = ANSWER_WITHIN;
      request.onerror = request.ontimeout = reject;
      request.onload = function () {
        var page = request.response;
        var fresh = page && page.querySelector('[data-pe-watch="' + root.dataset.peWatch + '"] > [data-pe-body]');
        if (request.status !== 200 || !fresh) return reject(new Error("no card"));
        var old = root.querySelector("[data-pe-body]");
        var held = old.contains(document.activeElement);
        var level = old.querySelector("[data-pe-heading]").tagName;
        var card = fresh.parentNode;
        old.parentNode.replaceChild(sameLevel(document.importNode(fresh, true), level), old);
        ["class", "data-pe-state", "data-pe-display", "data-pe-expires"].forEach(function (name) {
          root.setAttribute(name, card.getAttribute(name));
        });
        // The page itself, or the return view below it; a shop's page keeps its own title.
        if (location.pathname.indexOf(root.dataset.pePage) === 0) document.title = page.title;
        var heading = root.querySelector("[data-pe-heading]");
        enhance(root);
        if (held) heading.focus({ preventScroll: true });
        say(root, heading.textContent);
        resolve();
      };
      request.send();
    });
  }

  /* The page's card has a heading of the first level; in a shop's page it may be another. */
  function sameLevel(body, level) {
    var heading = body.querySelector("[data-pe-heading]");
    var shift = Number(level.charAt(1)) - Number(heading.tagName.charAt(1));
    if (shift) each(body, "h1, h2, h3, h4, h5", function (old) {
      var fresh = document.createElement("h" + Math.min(6, Number(old.tagName.charAt(1)) + shift));
      Array.prototype.forEach.call(old.attributes, function (one) { fresh.setAttribute(one.name, one.value); });
      while (old.firstChild) fresh.appendChild(old.firstChild);
      old.parentNode.replaceChild(fresh, old);
    });
    return body;
  }

  /* Copy, share, print, ask now */

  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    return new Promise(function (resolve, reject) {
      var field = document.createElement("textarea");
      field.value = text;
      field.readOnly = true;
      field.className = "pe-sr";
      document.body.appendChild(field);
      field.select();
      var done = document.execCommand("copy");
      document.body.removeChild(field);
      if (done) resolve(); else reject(new Error("copy"));
    });
  }

  function flash(button, text, good) {
    if (!button.dataset.peText) button.dataset.peText = button.textContent;
    button.textContent = text;
    button.toggleAttribute("data-pe-done", good);
    say(button, text);
    clearTimeout(button.peTimer);
    button.peTimer = setTimeout(function () {
      button.textContent = button.dataset.peText;
      button.removeAttribute("data-pe-done");
    }, 4000);
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("[data-pe-copy], [data-pe-share], [data-pe-print], [data-pe-refresh]");
    if (!button) return;
    var set = button.dataset;
    if ("peCopy" in set) {
      copy(set.peCopy).then(
        function () { flash(button, set.peCopied, true); button.focus({ preventScroll: true }); },
        function () { flash(button, set.peUncopied, false); }
      );
    } else if ("peShare" in set) {
      navigator.share({ text: set.peShareText, url: new URL(set.peShare, location.href).href })
        .catch(function () { /* the shopper thought better of it */ });
    } else if ("pePrint" in set) {
      window.print();
    } else if (!event.metaKey && !event.ctrlKey && !event.shiftKey) {
      var root = button.closest("[data-pe-watch]");
      var watcher = root && watchers[root.dataset.peWatch];
      if (!watcher) return;
      event.preventDefault();
      watcher.watchedFrom = Date.now();
      watcher.ask().then(function () {
        if (document.contains(button) && !watcher.failures && set.peRefreshed) flash(button, set.peRefreshed, false);
      });
    }
  });

  /* The deadline: what is left of it, and the shopper's own time */

  function fill(template, values) {
    return template.replace(/\{(\w+)\}/g, function (all, name) { return name in values ? values[name] : all; });
  }

  function count(element) {
    var set = element.dataset;
    var left = element.querySelector("[data-pe-left]");
    // The page says what time it is at the server: a phone's own clock may be wrong.
    if (!element.peSkew) element.peSkew = { by: Number(set.peNow) - Date.now() };
    var remains = Date.parse(set.peDeadline) - Date.now() - element.peSkew.by;
    var shown = "peCounts" in set && remains > 0 && remains <= LAST_HOURS;
    left.hidden = !shown;
    if (shown) {
      var minutes = Math.floor(remains / 60e3);
      left.textContent = minutes < 1 ? set.peMoment : fill(minutes < 60 ? set.peMinutes : set.peHours, {
        hours: Math.floor(minutes / 60), minutes: minutes < 60 ? minutes : minutes % 60
      });
    }
    if ("peCounts" in set && remains <= 0 && !element.peOver) {
      element.peOver = true;
      Object.keys(watchers).forEach(function (url) { watchers[url].schedule(2); });
    }
  }

  function ownTime(element) {
    var deadline = new Date(element.dataset.peDeadline);
    var place = element.querySelector("[data-pe-localtime]");
    if (deadline.getTimezoneOffset() === LIMA_OFFSET) return;
    var holder = element.closest("[lang]");
    try {
      place.textContent = fill(element.dataset.peLocal, {
        time: deadline.toLocaleString(holder ? holder.lang : undefined, {
          weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit"
        })
      });
      place.hidden = false;
    } catch (error) { /* an old browser without that language: Lima's time is there */ }
  }

  function tick() { each(document, "[data-pe-deadline]", count); }

  function enhance(root) {
    each(root, "[data-pe-copy], [data-pe-print]", function (button) { button.hidden = false; });
    each(root, "[data-pe-share]", function (button) { button.hidden = !navigator.share; });
    each(root, "[data-pe-deadline]", function (element) { count(element); ownTime(element); });
  }

  function wakeAll() {
    Object.keys(watchers).forEach(function (url) {
      var watcher = watchers[url];
      if (document.hidden) clearTimeout(watcher.timer);
      else if (!watcher.over) watcher.wake();
    });
    if (!document.hidden) tick();
  }

  enhance(document);
  each(document, "[data-pe-watch]:not([data-pe-final])", function (root) {
    var url = root.dataset.peWatch;
    var watcher = watchers[url] || (watchers[url] = new Watcher(url));
    watcher.roots.push(root);
    watcher.next = Number(root.dataset.peNext) || watcher.next;
    watcher.schedule(watcher.next);
  });
  setInterval(function () { if (!document.hidden) tick(); }, 15e3);
  document.addEventListener("visibilitychange", wakeAll);
  window.addEventListener("online", wakeAll);
  window.addEventListener("offline", function () {
    Object.keys(watchers).forEach(function (url) { if (!watchers[url].over) watchers[url].offline(true); });
  });
  window.addEventListener("pageshow", function (event) { if (event.persisted) wakeAll(); });
}());
