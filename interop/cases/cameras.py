"""Cameras: an RTSP server is called by phones, and calls them when its button is pressed."""

import json
import time
import urllib.request
from pathlib import Path

from harness import tone
from harness.cases import case
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import Exchange
from harness.failure import check, until
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook, result

SCRIPT = Path(__file__).resolve().parents[1] / "harness" / "rtsp_camera.py"
HZ = 620


class Camera:
    """The RTSP server, as a process that may be stopped and started again at its port."""

    def __init__(self, lab, coding="h264", sound="pcma"):
        self.lab, self.port, self.coding, self.sound = lab, lab.port(), coding, sound
        self.process = None

    def start(self):
        words = ["/usr/bin/python3", SCRIPT, str(self.port), str(HZ), self.coding, self.sound]
        self.process = self.lab.run("camera", words)
        until(lambda: "ready" in self.process.out.read_text(), 30, "the camera is there")

    def settings(self, calls=()):
        lines = ["", "[[camera]]", 'name = "Front door"', 'number = "81"', f'url = "rtsp://127.0.0.1:{self.port}/live"',
                 'username = "door"', 'password = "Secret-7"', f"calls = {json.dumps(list(calls))}", ""]
        return "\n".join(lines)

    @property
    def connections(self):
        return self.process.out.read_text().count("connected ")


def exchange_with(lab, camera, calls=()):
    exchange = Exchange(lab)
    exchange.settings.write_text(exchange.settings.read_text() + camera.settings(calls))
    return exchange


def states(exchange):
    return json.loads(exchange.command("camera", "list", "--json"))["cameras"]


@case(seconds=150)
def a_camera_is_called_seen_and_heard(lab):
    camera = Camera(lab)
    camera.start()
    exchange = exchange_with(lab, camera)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    page = Browser(lab, exchange, alice, "caller", video=True)
    page.start()
    page.command("dial", f"sip:81@{alice.domain}")
    page.wait("CALL_ESTABLISHED", 20)
    until(lambda: page.measure()["frames"] >= 30, 40, "the browser decodes thirty pictures")
    desk = Offhook(lab, exchange, bob, "caller")
    found = result(desk.dial("81", "--duration", f"{TALK_SECONDS + 4}s", "--record", desk.recording, "--expect-audio", f"tone:{HZ}"))
    check(found["exit_code"] == 0 and found["code"] == 200, f"our phone hears the camera: {found}")
    tone.prove(desk.recording, HZ, HEARD_SECONDS)
    check(camera.connections == 1, f"both watch one session, not {camera.connections}")
    check(states(exchange)[0]["state"] == "live", f"{states(exchange)}")
    page.keep()
    page.command("hangup")
    page.wait("CALL_CLOSED", 10)
    tone.prove(page.recording, HZ, HEARD_SECONDS)
    until(lambda: "closed" in camera.process.out.read_text(), 20, "the session ends after the last caller")
    until(lambda: states(exchange)[0]["state"] == "idle", 10, "nobody watches")
    page.stop()


@case(seconds=150)
def a_camera_that_goes_away_comes_back_in_the_same_call(lab):
    camera = Camera(lab, sound="pcmu")
    camera.start()
    exchange = exchange_with(lab, camera)
    bob = exchange.add("bob")
    exchange.start()
    desk = Offhook(lab, exchange, bob, "caller")
    calling = desk.run([lab.binary, "call", "81", "--duration", "90s", "--record", desk.recording, *desk.words])
    until(lambda: states(exchange)[0]["state"] == "live", 20, "the camera is watched")
    camera.process.kill()
    until(lambda: states(exchange)[0]["state"] in ("away", "connecting"), 30, "it is known that the camera is away")
    camera.start()
    until(lambda: states(exchange)[0]["state"] == "live", 60, "the camera is watched again")
    time.sleep(TALK_SECONDS)
    calling.stop()
    tone.prove(desk.recording, HZ, HEARD_SECONDS)


@case(seconds=120)
def a_button_makes_the_camera_call_its_group(lab):
    camera = Camera(lab)
    camera.start()
    exchange = exchange_with(lab, camera, ["bob", "carol"])
    bob, carol = exchange.add("bob"), exchange.add("carol")
    exchange.start()
    answers, ignores = Offhook(lab, exchange, bob, "callee"), Offhook(lab, exchange, carol, "callee")
    answers.answer("--after", "2s", "--record", answers.recording, "--expect-audio", f"tone:{HZ}", "--timeout", "60s")
    ignores.answer("--after", "60s")
    run_file = json.loads((exchange.data / "offhook.run").read_text())
    request = urllib.request.Request(
        f"{run_file['url']}/api/v1/cameras/Front%20door/ring", method="POST", data=b"",
        headers={"Authorization": f"Bearer {run_file['token']}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        check(json.load(answer)["rings"], "the camera rings")
    until(lambda: states(exchange)[0]["state"] == "live", 30, "who answered watches")
    time.sleep(TALK_SECONDS)
    live = json.loads(exchange.command("calls", "live", "--json"))["calls"]
    check(live, "the call is live")
    exchange.command("calls", "hangup", live[0]["id"])
    answers.answering.wait(15)
    tone.prove(answers.recording, HZ, HEARD_SECONDS)
    ignores.stop()
