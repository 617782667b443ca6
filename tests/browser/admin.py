"""A person at Django's admin: logs in, changes an object, uploads a picture, looks at it, and logs out.

    admin.py URL FOLDER

FOLDER takes the profile of the browser and the picture. Ends with an exception when something is not as it should be.
"""

import os
import shutil
import signal
import struct
import sys
import zlib

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

WIDTH, HEIGHT = 1024, 1024


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(path):
    """A PNG of noise: 3 MiB, more than Django keeps of an upload in memory."""
    rows = b"".join(b"\0" + os.urandom(3 * WIDTH) for _ in range(HEIGHT))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def start(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # The sandbox refuses root, and needs what many containers forbid; all pages are our own.
    for option in ["headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "disable-background-networking",
                   "window-size=1280,1024", f"user-data-dir={folder}/profile"]:
        options.add_argument("--" + option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


class Person:
    """Finds things on a page and clicks on them."""

    def __init__(self, browser, url):
        self.browser, self.url = browser, url

    def goes_to(self, path):
        self.browser.get(self.url + path)

    def sees(self, selector):
        return WebDriverWait(self.browser, 15).until(expected_conditions.visibility_of_element_located((By.CSS_SELECTOR, selector)), selector)

    def clicks(self, selector):
        self.sees(selector).click()

    def reads(self, selector, text):
        # The page that a click has left is still there for a moment.
        there = expected_conditions.text_to_be_present_in_element((By.CSS_SELECTOR, selector), text)
        WebDriverWait(self.browser, 15).until(there, f"{selector} does not read {text!r}")

    def types(self, selector, text):
        field = self.sees(selector)
        field.clear()
        field.send_keys(text)


def visit(person, folder):
    browser = person.browser
    person.goes_to("/admin/")
    person.types("#id_username", "ada")
    person.types("#id_password", "engine-1843")
    person.clicks("input[type=submit]")
    person.reads("#content h1", "Site administration")
    background = browser.execute_script("return getComputedStyle(document.querySelector('#header')).backgroundColor")
    assert background not in ("transparent", "rgba(0, 0, 0, 0)"), "the style sheet, which httpd serves, has no effect"

    person.clicks("a[href='/admin/gallery/picture/']")
    person.clicks("th.field-__str__ a")
    person.types("#id_title", "Noise, caf\xe9 \u20ac")
    # The link is made by the admin's JavaScript.
    person.clicks(".datetimeshortcuts a")
    assert browser.find_element(By.ID, "id_taken").get_attribute("value"), "'Today' fills in the date"
    path = f"{folder}/noise.png"
    picture(path)
    browser.find_element(By.ID, "id_file").send_keys(path)
    person.clicks("input[name=_continue]")
    person.reads(".messagelist .success", "\u201cNoise, caf\xe9 \u20ac\u201d was changed successfully")

    person.clicks(".file-upload a")
    WebDriverWait(browser, 15).until(lambda browser: browser.current_url.endswith("/media/pictures/noise.png"))
    shown = browser.execute_async_script(
        "const done = arguments[0], image = document.images[0]; image.decode().then(() => done([image.naturalWidth, image.naturalHeight]), done)")
    assert shown == [WIDTH, HEIGHT], f"the browser shows {shown}"

    person.goes_to("/admin/gallery/picture/")
    person.reads("th.field-__str__ a", "Noise, caf\xe9 \u20ac")
    person.clicks("#logout-form button")
    person.reads("#content h1", "Logged out")
    complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not complaints, complaints


def main():
    url, folder = sys.argv[1:]
    # An exception, so that the browser is ended in any case.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("the visit takes longer than 100 s"))
    signal.alarm(100)
    browser = start(folder)
    try:
        visit(Person(browser, url), folder)
    except BaseException:
        print(browser.current_url, browser.find_element(By.TAG_NAME, "body").text[:2000])
        raise
    finally:
        browser.quit()


main()
