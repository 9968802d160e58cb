"""The web page: ``tempo app``. Upload, ask, follow up, compare budgets, click a peak to seek.

One application holds the page, the explorer's script and the chat endpoint, before one engine.
"""

import hashlib
from typing import Any

import gradio as gr
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse

from tempo_lib.app.ask_request import MOST_FRAMES
from tempo_lib.app.explorer.front_end import script, style
from tempo_lib.app.page import EMPTY, Page

MOST_UPLOADED = "256mb"
KINDS = ["video", "image", ".mkv", ".webm", ".mov"]
EXPLORER_SCRIPT = """
const show = () => import("/explorer.js?VERSION").then(({ mount }) => {
  const place = element.querySelector(".te-here");
  const data = JSON.parse(props.value || "{}");
  if (!place) return;
  if (!data.rows) { place.replaceChildren(); place.te = null; return; }
  if (place.te) place.te.update(data);
  else place.te = mount(place, data);
});
show();
watch("value", show);
document.addEventListener("tempo-seek", (event) => {
  element.querySelector(".te-here")?.te?.seek(event.detail);
  element.scrollIntoView({ block: "nearest" });
});
"""
ANSWERS_SCRIPT = """
element.addEventListener("click", (event) => {
  const link = event.target.closest("[data-second]");
  if (!link) return;
  event.preventDefault();
  document.dispatchEvent(new CustomEvent("tempo-seek", { detail: Number(link.dataset.second) }));
});
"""
STYLE = """
.te-answer { margin: 0 0 12px; } .te-answer p { margin: 2px 0; }
.te-answer table td, .te-answer table th { padding: 2px 12px 2px 0; text-align: left; }
.te-answer a, .te-answer a:visited { color: inherit; text-decoration: underline; }
button[role="tab"][aria-selected="true"] { color: inherit; }
"""
# gradio's own orange and greys are too pale to read (WCAG AA asks for a contrast of 4.5)
THEME = gr.themes.Default(primary_hue="blue").set(
    body_text_color_subdued="*neutral_600",
    input_placeholder_color="*neutral_600",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_800",
)


def build(page: Page) -> gr.Blocks:
    """The page's parts and what they are wired to."""
    config = page.engine.model.config
    with gr.Blocks(analytics_enabled=False, title="Tempo", delete_cache=(300, 3600)) as blocks:
        gr.Markdown(f"# Tempo: ask a video\n\n{page.note}")
        with gr.Tab("Ask"):
            _ask_tab(page, config)
        with gr.Tab("Batch", elem_id="batch"):
            _batch_tab(page)
        blocks.unload(page.left)
    blocks.queue(max_size=page.engine.max_waiting, default_concurrency_limit=8, api_open=False)
    return blocks


def _ask_tab(page: Page, config: Any) -> None:
    with gr.Row():
        upload = gr.File(label="Video or image, 256 MB at most", file_types=KINDS, height=120)
        example = gr.Dropdown(list(page.examples), value=None, label="Or an example")
    question = gr.Textbox(label="Question", lines=1, max_lines=4)
    with gr.Row():
        go = gr.Button("Ask", variant="primary")
        stop = gr.Button("Cancel")
    with gr.Accordion("Options", open=False):
        top = max(config.budget, 8192 if config.budget > 1024 else 1024)
        numbers = [
            gr.Slider(0, top, config.budget, step=1, label="Budget (memory tokens)"),
            gr.Slider(0, top, 0, step=1, label="Second budget to compare; 0: none"),
            gr.Slider(1, MOST_FRAMES, config.video_numbers.max_frames, step=1, label="Most frames"),
            gr.Slider(0, 2, 0, step=0.1, label="Temperature; 0: greedy"),
            gr.Slider(1, 512, config.max_new_tokens, step=1, label="Most tokens of an answer"),
            gr.Checkbox(True, label="Allocate tokens by relevance; off: every segment keeps all"),
        ]
    status = gr.Textbox(label="Status", interactive=False, lines=1, elem_id="status")
    answers = gr.HTML("", js_on_load=ANSWERS_SCRIPT, elem_id="answers", label="Answers")
    explorer = gr.HTML(
        EMPTY,
        html_template='<div class="te-here"></div>',
        js_on_load=EXPLORER_SCRIPT.replace("VERSION", version()),
        apply_default_css=False,
        elem_id="explorer",
    )
    upload.change(page.taken, upload, [status, explorer, answers], show_progress="hidden")
    example.input(
        page.chosen, example, [question, status, explorer, answers], show_progress="hidden"
    )
    inputs, outputs = [question, *numbers, answers], [status, answers, explorer]
    gr.on([go.click, question.submit], page.ask, inputs, outputs, show_progress="hidden")
    stop.click(page.cancel, None, status, queue=False)


def _batch_tab(page: Page) -> None:
    gr.Markdown('Cases: `[{"video_path": "clip.mp4", "query": "Who?"}, ...]`, and their videos.')
    with gr.Row():
        cases = gr.File(label="Cases (JSON)", file_types=[".json", ".jsonl"])
        files = gr.File(label="Videos", file_types=KINDS, file_count="multiple")
    with gr.Row():
        go = gr.Button("Answer all", variant="primary")
        stop = gr.Button("Cancel")
    status = gr.Textbox(label="Status", interactive=False, lines=1)
    table = gr.HTML("", label="Predictions")
    done = gr.DownloadButton("Save the predictions (JSON)", visible=False)
    go.click(page.batch, [cases, files], [status, table, done], show_progress="hidden")
    stop.click(page.cancel, None, status, queue=False)


def add_page(app: FastAPI, page: Page, api_key: str | None = None) -> FastAPI:
    """Put the page, the explorer's script and visitors' films into an application.

    ``api_key``: wanted of visitors too, as the password of user tempo.
    """

    @app.get("/explorer.js")
    def explorer_script() -> Response:
        return Response(script(), media_type="text/javascript")

    @app.get("/film/{token}")
    def film(token: str) -> FileResponse:
        path = page.visitors.file(token)
        if path is None:
            raise HTTPException(404, "no such film")
        return FileResponse(path, headers={"Cache-Control": "private, no-store"})

    return gr.mount_gradio_app(
        app,
        build(page),
        path="/",
        auth=None if api_key is None else ("tempo", api_key),
        max_file_size=MOST_UPLOADED,
        theme=THEME,
        css=style() + STYLE,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        show_error=False,
        footer_links=[],
    )


def version() -> str:
    """Changes with the script, so that no browser keeps an old one."""
    return hashlib.sha256(script().encode()).hexdigest()[:8]
