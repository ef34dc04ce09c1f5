"use strict";
(() => {
  const svg = document.documentElement;
  const margin = 12, character = 7.23, drawn = 1200 - 2 * margin;
  const reset = document.getElementById("reset"), search = document.getElementById("search");
  const frames = [...document.querySelectorAll(".frame")].map((group) => {
    const rect = group.querySelector("rect");
    const left = (rect.x.baseVal.value - margin) / drawn;
    return {
      group, rect, left, right: left + rect.width.baseVal.value / drawn, y: rect.y.baseVal.value,
      text: group.querySelector("text"), name: group.querySelector("title").textContent.split("\n")[0],
    };
  });
  // What is rounded to a hundredth of a pixel is compared with some slack.
  const slack = 0.02 / drawn;
  let zoomed = null;

  function layOut() {
    const width = Math.max(innerWidth || 1200, 400), room = width - 2 * margin;
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${svg.getAttribute("height")}`);
    for (const button of [reset, search]) button.setAttribute("x", width - margin);
    const from = zoomed ? zoomed.left : 0, to = zoomed ? zoomed.right : 1;
    for (const frame of frames) {
      const left = Math.max(frame.left, from), right = Math.min(frame.right, to);
      const above = zoomed && frame.y < zoomed.y;
      const wide = (right - left) / (to - from) * room;
      const hidden = right - left <= slack || wide < 0.3;
      frame.group.style.display = hidden ? "none" : "";
      frame.group.classList.toggle("above", !!above);
      if (hidden) continue;
      const x = margin + (left - from) / (to - from) * room;
      frame.rect.setAttribute("x", x);
      frame.rect.setAttribute("width", wide);
      frame.text.setAttribute("x", x + 4);
      const fitting = Math.floor((wide - 6) / character), name = [...frame.name];
      frame.text.textContent = fitting < 3 ? ""
        : name.length <= fitting ? frame.name : name.slice(0, fitting - 1).join("") + "…";
    }
    reset.style.display = zoomed || svg.classList.contains("searching") ? "inline" : "none";
  }

  function find() {
    const term = prompt("Part of a name, or a regular expression:");
    if (term === null) return;
    let matches = (name) => name.includes(term);
    try {
      const expression = new RegExp(term, "i");
      matches = (name) => expression.test(name);
    } catch { /* not an expression: taken as it stands */ }
    // Frames are in order from the outermost: one inside a found one adds nothing to the share.
    let share = 0, covered = [];
    for (const frame of frames) {
      const found = term !== "" && matches(frame.name);
      frame.group.classList.toggle("found", found);
      if (!found || covered.some((c) => c.y < frame.y && c.left <= frame.left + slack && frame.right <= c.right + slack)) continue;
      covered.push(frame);
      share += frame.right - frame.left;
    }
    svg.classList.toggle("searching", term !== "");
    search.textContent = term === "" ? "search (/)" : `found: ${(share * 100).toFixed(1)} %`;
    layOut();
  }

  function showAll() {
    zoomed = null;
    svg.classList.remove("searching");
    for (const frame of frames) frame.group.classList.remove("found");
    search.textContent = "search (/)";
    layOut();
  }

  for (const frame of frames) frame.group.addEventListener("click", () => {
    zoomed = frame === frames[0] ? null : frame;
    layOut();
  });
  const press = (button, act) => {
    button.addEventListener("click", act);
    button.addEventListener("keydown", (event) => { if (event.key === "Enter") act(); });
  };
  press(reset, showAll);
  press(search, find);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") showAll();
    else if (event.key === "/" || (event.key === "f" && event.ctrlKey)) { event.preventDefault(); find(); }
  });
  addEventListener("resize", layOut);
  search.style.display = "inline";
  layOut();
})();
