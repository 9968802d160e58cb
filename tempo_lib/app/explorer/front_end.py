"""The explorer's JavaScript and style, as notebooks and the web page load them: no build step."""

import re
from pathlib import Path

SCRIPTS = ("allocate.js", "timeline.js", "explorer.js")
# Widgets run from one text, which cannot import its neighbours; in one text it need not.
LOCAL_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', re.MULTILINE)
IN_NOTEBOOKS = """
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
"""


def script(for_notebooks: bool = False) -> str:
    """One JavaScript module that exports ``mount``, and in notebooks the widget's ``render``."""
    parts = [(Path(__file__).parent / name).read_text(encoding="utf-8") for name in SCRIPTS]
    whole = "\n".join(LOCAL_IMPORT.sub("", part) for part in parts)
    return whole + IN_NOTEBOOKS if for_notebooks else whole


def style() -> str:
    """The style sheet of both."""
    return (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")
