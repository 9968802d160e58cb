"""The explorer's JavaScript and style, as notebooks and the web page load them: no build step."""

import re
from pathlib import Path

SCRIPTS = ("allocate.js", "timeline.js", "explorer.js", "grid.js")
# Widgets run from one text, which cannot import its neighbours; in one text it need not.
LOCAL_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', re.MULTILINE)
WIDGETS = {
    "explorer": """
export default {
  render({ model, el }) {
    const videos = {};
    const explorer = mount(el, model.get("data"), {
      ask: model.get("can_ask") ? (request) => model.send({ kind: "ask", ...request }) : null,
      videoUrl: (film) => videos[film] ?? null,
    });
    model.on("change:data", () => explorer.update(model.get("data")));
    model.on("msg:custom", (message, buffers) => {
      if (message.kind === "say") explorer.say(message.text);
      if (message.kind !== "video") return;
      videos[message.film] = URL.createObjectURL(new Blob([buffers[0]], { type: message.mime }));
      explorer.showVideo();
    });
    model.send({ kind: "videos" }); // not part of the saved state: a notebook would hold them twice
    return () => {
      explorer.destroy();
      Object.values(videos).forEach((url) => URL.revokeObjectURL(url));
    };
  },
};
""",
    "front-loading": """
export default {
  render({ model, el }) {
    const keep = model.get("can_ask") ? (kept) => model.send({ kind: "keep", kept }) : null;
    const grid = mountGrid(el, model.get("data"), keep);
    model.on("msg:custom", (message) => {
      if (message.kind === "effect") grid.show(message.effect);
      if (message.kind === "say") grid.say(message.text);
    });
    return () => grid.destroy();
  },
};
""",
}


def script(widget: str | None = None) -> str:
    """One module that exports ``mount`` and ``mountGrid``, and the ``render`` of a widget."""
    parts = [(Path(__file__).parent / name).read_text(encoding="utf-8") for name in SCRIPTS]
    whole = "\n".join(LOCAL_IMPORT.sub("", part) for part in parts)
    return whole if widget is None else whole + WIDGETS[widget]


def style() -> str:
    """The style sheet of both."""
    return (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")
