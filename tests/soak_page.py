"""Many questions through the engine behind page and endpoint, some of them on a bad day.

`tests/soak.py` runs the long one; tests/test_soak.py a short one. A question that met a fault is
put again, as whoever sits before the page would.
"""

import os
import random
import signal
import threading
from collections import Counter

import psutil
import torch

from tempo_lib.app.ask_request import EXPECTED, AskRequest, Result
from tempo_lib.app.engine import Engine
from tests.soak import ASK, THINGS, resident_mebibytes, tell

FAULTS = ("cancelled", "weights of NaN", "decoder killed", "file cut")
FAULTY_SHARE = 0.3
NEW_TOKENS = 4


class Page:
    """One engine over the videos; ``put`` is one visitor's question."""

    def __init__(self, model, videos, seed=0):
        self.model, self.videos = model, {name: path for name, (path, _) in videos.items()}
        self.engine, self.draw = Engine(model), random.Random(seed)
        self.strike = threading.Timer(0, kill_decoders)
        self.weight = model.get_parameter("decoder.model.norm.weight")
        self.sound = self.weight.detach().clone()

    def put(self, name, question, fault=None):
        """(how many results came, what was said last); a fault strikes while it is worked on."""
        request = AskRequest(
            path=self.videos[name],
            question=question,
            owner=name,
            max_new_tokens=NEW_TOKENS,
        )
        cancel, results, said = threading.Event(), 0, ""
        try:
            for event in self.engine.ask(request, cancel):
                if isinstance(event, Result):
                    results, said = results + 1, event.answers[0].text
                elif event.stage == "waiting":
                    self._strike(fault, cancel)
        except EXPECTED as error:
            said = f"{type(error).__name__}: {error}"
        return results, said

    def with_fault(self, name, question, fault):
        """The first outcome under a fault, when the fault is over."""
        path = self.videos[name]
        data = path.read_bytes() if fault == "file cut" else b""
        if fault in ("decoder killed", "file cut"):
            self.engine.forget(name)  # so that the file is read again
        if fault == "file cut":
            path.write_bytes(data[: len(data) // 2])
        try:
            return self.put(name, question, fault)
        finally:
            if fault == "decoder killed":  # a late strike would meet the next question
                self.strike.cancel()
                if self.strike.ident is not None:
                    self.strike.join()
            if fault == "file cut":
                path.write_bytes(data)
            if fault == "weights of NaN":
                self.weight.data.copy_(self.sound)
            self.engine.forget(name)

    def _strike(self, fault, cancel):
        if fault == "cancelled":
            cancel.set()
        elif fault == "weights of NaN":
            self.weight.data.copy_(self.sound * float("nan"))
        elif fault == "decoder killed":
            self.strike = threading.Timer(self.draw.uniform(0.0, 0.5), kill_decoders)
            self.strike.start()


def kill_decoders():
    """End what decodes files in processes of its own."""
    for child in psutil.Process().children(recursive=True):
        if "tempo_lib" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)


@torch.no_grad()
def soak_page(model, videos, num_questions, seed=0):
    """Facts: faults met, and questions lost, doubled or answered otherwise than without faults."""
    page = Page(model, videos, seed)
    names = list(videos)
    asked = [
        (names[i % len(names)], f"{ASK[i % len(ASK)].format(THINGS[i % len(THINGS)])} ({i})")
        for i in range(num_questions)
    ]
    right, memory = [], []
    for number, (name, question) in enumerate(asked):
        if number % 25 == 0:
            tell(f"page, undisturbed, question {number} of {num_questions}")
        right.append(page.put(name, question))
        memory.append(resident_mebibytes())
    struck, met, found = Counter(), Counter(), []
    for number, (name, question) in enumerate(asked):
        if number % 25 == 0:
            tell(f"page, with faults, question {number} of {num_questions}")
        if page.draw.random() < FAULTY_SHARE:
            fault = page.draw.choice(FAULTS)
            struck[fault] += 1
            results, _ = page.with_fault(name, question, fault)
            met[fault] += results == 0
        found.append(page.put(name, question))
        memory.append(resident_mebibytes())
    page.engine.close()
    third = max(1, len(memory) // 3)
    return {
        "questions": num_questions,
        "answered": sum(results for results, _ in right),
        "refused": sum(not results for results, _ in right),
        "faults": dict(struck),
        "faults_that_left_no_answer": dict(met),
        "lost": sum(bool(a) and not b for (a, _), (b, _) in zip(right, found, strict=True)),
        "doubled": sum(results > 1 for results, _ in (*right, *found)),
        "wrong": sum(a != b for a, b in zip(right, found, strict=True)),
        "memory_mebibytes_first_third": round(max(memory[:third])),
        "memory_mebibytes_last_third": round(max(memory[-third:])),
    }
