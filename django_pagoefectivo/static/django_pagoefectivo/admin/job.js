/* Keeps a job's page up to date. Without it the page reloads itself. */
(() => {
  "use strict";
  const bar = document.getElementById("pe-progress");
  const text = document.getElementById("pe-how-far");
  let pause = 1000;

  async function ask() {
    try {
      const answer = await fetch(bar.dataset.url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      // Without a value the bar shows that something goes on, but not how far.
      if (now.total) {
        bar.max = now.total;
        bar.value = now.worked;
      }
      text.textContent = now.text;
      pause = 1000;
      if (now.over) {
        window.location.reload();
        return;
      }
    } catch {
      pause = Math.min(pause * 2, 30000);
    }
    setTimeout(ask, pause);
  }

  setTimeout(ask, pause);
})();
