// What the page does by itself: the slider between two pictures, the editor of regions, and going on after a lost line.
(() => {
  "use strict";

  document.addEventListener("input", (event) => {
    const slider = event.target.closest?.(".ps-slider");
    if (slider && event.target.type === "range") slider.style.setProperty("--at", `${event.target.value}%`);
    const strength = event.target.closest?.(".ps-strength");
    if (strength) {
      const shown = strength.closest(".ps-result"), share = (event.target.value / 100).toFixed(2);
      shown.querySelector(".ps-slider").style.setProperty("--strength", share);
      strength.querySelector("output").textContent = `${event.target.value}%`;
      const link = shown.querySelector('[data-file="picture"]');
      link.href = `${link.href.split("?")[0]}?strength=${share}`;
    }
  });

  const read = (runs, size) => {
    const map = new Uint8Array(size);
    let at = 0;
    for (const run of runs.split(",")) {
      const [count, label] = run.split("x").map(Number);
      map.fill(label, at, at + count);
      at += count;
    }
    return map;
  };

  const write = (map) => {
    const runs = [];
    let start = 0;
    for (let at = 1; at <= map.length; at++) {
      if (at === map.length || map[at] !== map[start]) {
        runs.push(`${at - start}x${map[start]}`);
        start = at;
      }
    }
    return runs.join(",");
  };

  const editors = new WeakMap();

  const edit = (panel) => {
    const width = +panel.dataset.width, height = +panel.dataset.height;
    const find = (what) => panel.querySelector(what);
    const canvas = find("canvas"), pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    const rows = [...panel.querySelectorAll(".ps-row")];
    const colors = rows.map((row) => [1, 3, 5].map((i) => parseInt(row.dataset.color.slice(i, i + 2), 16)));
    const found = read(panel.dataset.found, width * height);
    let map = read(panel.dataset.runs, width * height);
    let edited = panel.dataset.edited === "true", last = null, focused = false, at = [width / 2, height / 2];
    const past = [];

    const brush = () => find('[name="ps-brush"]:checked').value;
    const reach = () => (+find(".ps-size").value / 640) * Math.max(width, height);

    const draw = () => {
      const alpha = (+find(".ps-opacity").value * 255) / 100;
      for (let i = 0, j = 0; i < map.length; i++, j += 4) {
        const color = colors[map[i]];
        image.data[j] = color[0];
        image.data[j + 1] = color[1];
        image.data[j + 2] = color[2];
        image.data[j + 3] = alpha;
      }
      pen.putImageData(image, 0, 0);
      if (focused && brush() !== "none") {
        for (const [color, line] of [["black", 3], ["white", 1.5]]) {
          pen.beginPath();
          pen.arc(at[0], at[1], reach(), 0, 7);
          pen.strokeStyle = color;
          pen.lineWidth = line;
          pen.stroke();
        }
      }
    };

    const dab = (x, y) => {
      const r = reach(), label = brush();
      for (let v = Math.max(0, Math.ceil(y - r)); v <= Math.min(height - 1, y + r); v++) {
        const half = Math.sqrt(Math.max(0, r * r - (v - y) ** 2));
        for (let u = Math.max(0, Math.ceil(x - half)); u <= Math.min(width - 1, x + half); u++) {
          const i = v * width + u;
          map[i] = label === "eraser" ? found[i] : +label;
        }
      }
    };

    const begin = () => {
      past.push(map.slice());
      if (past.length > 20) past.shift();
      edited = true;
    };

    const end = () => {
      const counts = new Float64Array(256);
      for (const label of map) counts[label]++;
      for (const row of rows) {
        const share = counts[+row.dataset.index] / map.length;
        row.querySelector(".ps-share").textContent = `${Math.round(100 * share)}%`;
        if (share > 0) row.hidden = false;
      }
      find(".ps-undo").disabled = past.length === 0;
      draw();
    };

    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    };

    canvas.addEventListener("pointerdown", (event) => {
      if (brush() === "none" || event.button) return;
      canvas.setPointerCapture(event.pointerId);
      begin();
      last = at = place(event);
      dab(...last);
      draw();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      at = place(event);
      const steps = Math.max(1, Math.ceil(Math.hypot(at[0] - last[0], at[1] - last[1]) / Math.max(1, reach() / 2)));
      for (let i = 1; i <= steps; i++) {
        dab(last[0] + ((at[0] - last[0]) * i) / steps, last[1] + ((at[1] - last[1]) * i) / steps);
      }
      last = at;
      draw();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => {
        if (last) end();
        last = null;
      });
    }
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (brush() === "none") return;
      if (moves[event.key]) {
        const step = Math.max(1, reach() / 2), limit = [width - 1, height - 1];
        at = at.map((value, i) => Math.min(limit[i], Math.max(0, value + moves[event.key][i] * step)));
        draw();
      } else if (event.key === " ") {
        begin();
        dab(...at);
        end();
      } else return;
      event.preventDefault();
    });
    for (const name of ["focus", "blur"]) {
      canvas.addEventListener(name, () => {
        focused = name === "focus";
        draw();
      });
    }
    find(".ps-undo").addEventListener("click", () => {
      map = past.pop() ?? map;
      end();
    });
    find(".ps-opacity").addEventListener("input", draw);
    find(".ps-size").addEventListener("input", draw);
    find(".ps-add select").addEventListener("change", (event) => {
      const row = rows[+event.target.value];
      if (event.target.value === "" || !row) return;
      row.hidden = false;
      row.querySelector("input").click();
      event.target.value = "";
    });
    panel.addEventListener("change", () => {
      panel.classList.toggle("ps-painting", brush() !== "none");
      draw();
    });
    for (const row of rows) {
      row.querySelector("select").addEventListener("change", () => (row.dataset.chosen = "yes"));
    }
    editors.set(panel, () => ({
      version: panel.dataset.version,
      runs: edited ? write(map) : null,
      choices: Object.fromEntries(
        rows.filter((row) => row.dataset.chosen).map((row) => [row.dataset.label, +row.querySelector("select").value]),
      ),
    }));
    draw();
  };

  // gradio calls all its upload areas alike, and leaves groups of radio buttons without a name
  const name = () => {
    for (const [id, text] of [
      ["content-file", "Picture to change: choose or drop a file"],
      ["style-files", "Style pictures: choose or drop one or more files"],
    ]) {
      document.querySelectorAll(`#${id} button, #${id} input`).forEach((part) => {
        if (part.getAttribute("aria-label") !== text) part.setAttribute("aria-label", text);
      });
    }
    document.querySelectorAll("fieldset.block:not([aria-label])").forEach((group) => {
      const title = group.querySelector('[data-testid="block-info"]');
      if (title) group.setAttribute("aria-label", title.textContent.trim());
    });
  };

  const look = () => {
    name();
    document.querySelectorAll(".ps-regions").forEach((panel) => editors.has(panel) || edit(panel));
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });

  // What the server is told of the regions with every event that needs them.
  window.photostyleRegions = () => {
    const panel = document.querySelector(".ps-regions");
    return panel && editors.has(panel) ? JSON.stringify(editors.get(panel)()) : "";
  };

  // A page that is loaded again, by hand or by gradio after a lost line, tells the server what its name was before. A
  // copy of the tab finds nothing here, since the page that is open has taken it out.
  const memory = (use) => {
    try {
      return use(sessionStorage);
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  window.photostyleBefore = () => {
    const kept = memory((storage) => storage.getItem("photostyle"));
    memory((storage) => storage.removeItem("photostyle"));
    return kept ? JSON.parse(kept) : ["", ""];
  };
  addEventListener("pagehide", () => {
    const kept = JSON.stringify([window.__gradio_session_hash__ ?? "", window.photostyleRegions()]);
    memory((storage) => storage.setItem("photostyle", kept));
  });

  // An event that is sent just as gradio closes its stream of answers goes unheard: any other opens the stream again.
  const said = () => document.querySelector("#status .ps-notice");
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#run, #compare")) return;
    const before = said();
    setTimeout(() => said() === before && document.querySelector("#nudge")?.click(), 4000);
  });

  // gradio doesn't renew a line that was lost while nothing ran, so the server is told that the page is still there.
  const tell = () => fetch(`photostyle/here/${window.__gradio_session_hash__ ?? "-"}`).catch(() => {});
  setInterval(tell, 15000);
  document.addEventListener("visibilitychange", tell);
})();
