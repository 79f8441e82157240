(function () {
  "use strict";
  var svg = document.documentElement;
  if (svg.tagName !== "svg") svg = document.querySelector("svg");
  var byId = function (id) { return document.getElementById(id); };
  var pad = +svg.dataset.pad, whole = +svg.dataset.total, width = +svg.getAttribute("width");
  var frames = Array.prototype.map.call(document.querySelectorAll(".frame"), function (node) {
    return {
      node: node, rect: node.querySelector("rect"), text: node.querySelector("text"),
      from: +node.dataset.o, total: +node.dataset.t, depth: +node.dataset.d,
      name: node.dataset.n, find: node.querySelector("title").textContent.toLowerCase()
    };
  });
  var view = { from: 0, total: whole, depth: 0, frame: null };

  function fit(text, name, room) {
    var most = Math.floor((room - 8) / 7.0);
    text.textContent = most < 3 ? "" : name.length <= most ? name : name.slice(0, most - 1) + "\u2026";
  }

  function layout() {
    var scale = (width - 2 * pad) / view.total;
    frames.forEach(function (frame) {
      var end = frame.from + frame.total, right = view.from + view.total;
      var shown = end > view.from && frame.from < right && frame.total * scale >= 0.1;
      frame.node.classList.toggle("hidden", !shown);
      if (!shown) return;
      var from = Math.max(frame.from, view.from), to = Math.min(end, right);
      var x = pad + (from - view.from) * scale, room = (to - from) * scale;
      frame.rect.setAttribute("x", x.toFixed(2));
      frame.rect.setAttribute("width", (room > 3 ? room - 0.7 : room).toFixed(2));
      frame.text.setAttribute("x", (x + 4).toFixed(2));
      frame.node.classList.toggle("parent", frame.depth < view.depth);
      fit(frame.text, frame.name, room);
    });
    byId("reset").classList.toggle("hidden", view.total === whole);
  }

  function zoom(frame) {
    view = frame ? { from: frame.from, total: frame.total, depth: frame.depth } :
      { from: 0, total: whole, depth: 0 };
    layout();
  }

  // Matches inside matches count once.
  function search(words) {
    words = words.trim().toLowerCase();
    var spans = [];
    frames.forEach(function (frame) {
      var hit = words !== "" && frame.find.indexOf(words) >= 0;
      frame.node.classList.toggle("hit", hit);
      frame.node.classList.toggle("miss", words !== "" && !hit);
      if (hit) spans.push([frame.from, frame.from + frame.total]);
    });
    spans.sort(function (a, b) { return a[0] - b[0] || b[1] - a[1]; });
    var sum = 0, reach = 0;
    spans.forEach(function (span) {
      sum += Math.max(0, span[1] - Math.max(span[0], reach));
      reach = Math.max(reach, span[1]);
    });
    byId("matched").textContent = words === "" ? "" :
      spans.length + " frames, " + (100 * sum / whole).toFixed(1) + " %";
  }

  function resize() {
    if (document.documentElement !== svg) return;
    width = Math.max(600, window.innerWidth);
    svg.setAttribute("width", width);
    Array.prototype.forEach.call(document.querySelectorAll("[data-right]"), function (node) {
      node.setAttribute("transform", "translate(" + (width - node.dataset.right) + " 0)");
    });
    layout();
  }

  var details = byId("details"), quiet = details.textContent;
  frames.forEach(function (frame) {
    frame.node.addEventListener("click", function () { zoom(frame); });
    frame.node.addEventListener("mouseenter", function () {
      details.textContent = frame.node.querySelector("title").textContent.split("\n").join("   \u00b7   ");
    });
    frame.node.addEventListener("mouseleave", function () { details.textContent = quiet; });
  });
  byId("reset").addEventListener("click", function () { zoom(null); });
  var box = byId("search");
  box.addEventListener("input", function () { search(box.value); });
  window.addEventListener("keydown", function (event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "f" || event.key === "/" && event.target !== box) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape") {
      box.value = "";
      search("");
      zoom(null);
    }
  });
  window.addEventListener("resize", resize);
  window.flame = { zoom: zoom, search: search, frames: frames };
  resize();
})();
