#!/usr/bin/env python3
"""Pictures of a page as Chromium shows it, by its own protocol over a pipe (nothing but Python is needed).

    browser.py CHROMIUM REQUESTS

REQUESTS is JSON: a list of {"url", "picture", "width", "height"}, and where wanted "phone": true, "script" (run once the page
has drawn, before the picture is taken). A page has drawn when <html data-state="drawn">. Prints JSON, one entry for each: the
seconds from the start of navigation, what the page wrote to its console or failed with, and the value of the script.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds


class Browser:
    def __init__(self, program, folder):
        to_browser, self.out = os.pipe()
        self.input, from_browser = os.pipe()

        def pipes():  # Chromium reads 3 and writes 4
            os.dup2(to_browser, 1000)
            os.dup2(from_browser, 1001)
            os.dup2(1000, 3)
            os.dup2(1001, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.number, self.events, self.session = b"", 0, [], None

    def receive(self):
        while b"\0" not in self.rest:
            part = os.read(self.input, 1 << 20)
            if not part:
                raise RuntimeError("Chromium ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get("value")


def words(event):
    """What a page complains of."""
    data = event.get("params", {})
    if event.get("method") == "Runtime.exceptionThrown":
        return json.dumps(data["exceptionDetails"])
    if event.get("method") == "Runtime.consoleAPICalled":
        return " ".join(str(a.get("value", a.get("description"))) for a in data["args"])
    if event.get("method") == "Log.entryAdded" and data["entry"]["level"] in ("error", "warning"):
        return data["entry"]["text"]
    return None


def look(browser, request):
    browser.session = None
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log"):
        browser.call(f"{domain}.enable")
    phone = request.get("phone", False)
    browser.call("Emulation.setDeviceMetricsOverride", width=request["width"], height=request["height"], deviceScaleFactor=1, mobile=phone)
    start = time.monotonic()
    browser.call("Page.navigate", url=request["url"])
    while (state := browser.evaluate("document.documentElement.dataset.state")) != "drawn":
        if state == "failed" or time.monotonic() - start > PATIENCE:
            break
        time.sleep(0.02)
    seconds = time.monotonic() - start
    value = browser.evaluate(request["script"]) if "script" in request else None
    picture = browser.call("Page.captureScreenshot", format="png")["data"]
    with open(request["picture"], "wb") as file:
        file.write(base64.b64decode(picture))
    complaints = [w for w in map(words, browser.events) if w]
    browser.session = None
    browser.call("Target.closeTarget", targetId=target)
    return {"state": state, "seconds": seconds, "complaints": complaints, "value": value}


def main(program, requests):
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program, folder)
        try:
            print(json.dumps([look(browser, request) for request in json.loads(requests)]))
        finally:
            browser.process.kill()
            browser.process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
