
// Renews the page in place, so that it stays where it was scrolled to, and whoever uses the keyboard where they are.
const title = (one) => one.closest("section").querySelector("h2").textContent.replace(/\d+ so far/, "");
const named = (button) => button.form.getAttribute("action") + button.value;
setInterval(async () => {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch("/");
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main"), old = document.querySelector("main");
    const places = new Map([...old.querySelectorAll(".scroll")].map((one) => [title(one), one.scrollLeft]));
    const held = document.activeElement?.form && named(document.activeElement);
    old.replaceWith(next);
    for (const one of next.querySelectorAll(".scroll")) one.scrollLeft = places.get(title(one)) ?? 0;
    if (held) [...next.querySelectorAll("button")].find((one) => named(one) === held)?.focus({ preventScroll: true });
  } catch {
    // The simulator is away; what was last seen stays.
  }
}, 5000);
